"""The parts of a transfer that link to nothing."""

from typing import Self

import strawberry

from app.api.metering.price import text_of
from app.domain.start import MOST_KEY_CHARACTERS, MOST_VALUE_CHARACTERS
from app.domain.transfer import Party, Reason, Status


@strawberry.type(description="A note that a client keeps with a transfer: a key and its value.")
class MetadataEntry:
    key: str = strawberry.field(
        description="1 to 64 characters, unique in the transfer.", metadata=text_of(MOST_KEY_CHARACTERS)
    )
    value: str = strawberry.field(description="At most 512 characters.", metadata=text_of(MOST_VALUE_CHARACTERS))


@strawberry.type(description="Who brought a change about.")
class TransferActor:
    party: Party = strawberry.field(description="The party that did it; `CLIENT` is a user of this API.")
    subject: str | None = strawberry.field(
        description="For a `CLIENT`, the subject of their token: who it was. Null for all others."
    )


@strawberry.type(description="How many transfers share a status and a reason.")
class TransferCount:
    status: Status = strawberry.field(description="Where they stand.")
    outcome_reason: Reason | None = strawberry.field(
        description="Why they were not completed; null for those that were, and for live ones that have none yet."
    )
    count: int = strawberry.field(description="How many there are; at least 1.")

    @classmethod
    def of(cls, counted: tuple[Status, Reason | None, int]) -> Self:
        status, reason, count = counted
        return cls(status=status, outcome_reason=reason, count=count)
