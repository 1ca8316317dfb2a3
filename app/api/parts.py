"""The parts of a transfer that link to nothing."""

from typing import Self

import strawberry

from app.api.metering.price import text_of
from app.domain.start import MOST_KEY_CHARACTERS, MOST_VALUE_CHARACTERS
from app.domain.transfer import Party, Reason, Status


@strawberry.type(description="A key and a value that clients store with a transfer.")
class MetadataEntry:
    key: str = strawberry.field(
        description="1 to 64 characters, unique within the transfer.", metadata=text_of(MOST_KEY_CHARACTERS)
    )
    value: str = strawberry.field(description="At most 512 characters.", metadata=text_of(MOST_VALUE_CHARACTERS))


@strawberry.type(description="Who made a change.")
class TransferActor:
    party: Party = strawberry.field(description="The party. `CLIENT` is a user of this API.")
    subject: str | None = strawberry.field(description="The subject of the token, for a `CLIENT`. Null for all others.")


@strawberry.type(description="The number of transfers with a status and a reason.")
class TransferCount:
    status: Status = strawberry.field(description="The status.")
    outcome_reason: Reason | None = strawberry.field(
        description="The reason. Null for completed transfers, and for live ones that have no reason yet."
    )
    count: int = strawberry.field(description="The number of transfers, at least 1.")

    @classmethod
    def of(cls, counted: tuple[Status, Reason | None, int]) -> Self:
        status, reason, count = counted
        return cls(status=status, outcome_reason=reason, count=count)
