"""The types without an id and without links: addresses, metadata, actors, counts, and the viewer."""

from datetime import datetime
from typing import Self

import strawberry
from strawberry import ID

from app.api.metering.price import text_of
from app.domain import addresses
from app.domain.addresses import LONGEST, AddressType
from app.domain.start import MOST_KEY_CHARACTERS, MOST_VALUE_CHARACTERS
from app.domain.transfer import Party, Reason, Status
from app.domain.viewer import Permission


@strawberry.type(description="The address of a party. Absent parts are empty strings.")
class Address:
    type: AddressType = strawberry.field(description="The kind of address. It decides the form of `target`.")
    target: str = strawberry.field(
        description="The address itself: a telephone number, `user@host`, an agent's UUID, or an extension.",
        metadata=text_of(LONGEST),
    )
    target_name: str = strawberry.field(
        description="The name of the target. For an extension it is the routing key.", metadata=text_of(LONGEST)
    )
    name: str = strawberry.field(description="The name to show to people.", metadata=text_of(LONGEST))
    detail: str = strawberry.field(description="Further details to show to people.", metadata=text_of(LONGEST))

    @classmethod
    def of(cls, address: addresses.Address) -> Self:
        return cls(
            type=address.type,
            target=address.target,
            target_name=address.target_name,
            name=address.name,
            detail=address.detail,
        )


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


@strawberry.type(description="What the token of the request grants, and to whom.")
class Viewer:
    customer_id: ID = strawberry.field(
        description="The UUID of the customer (the tenant). The token grants access to this customer's data only."
    )
    subject: str = strawberry.field(description="The bearer of the token: its `sub` claim.")
    permissions: list[Permission] = strawberry.field(description="The permissions that the token grants.")
    now: datetime = strawberry.field(
        description="The time now by the server's clock. Use it to count down to `tmDeadline`: the client's clock may"
        " differ."
    )
