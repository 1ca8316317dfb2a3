"""The type Address."""

from typing import Self

import strawberry

from app.api.metering.price import text_of
from app.domain import addresses
from app.domain.addresses import LONGEST, AddressType


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
    detail: str = strawberry.field(description="More to show to people.", metadata=text_of(LONGEST))

    @classmethod
    def of(cls, address: addresses.Address) -> Self:
        return cls(
            type=address.type,
            target=address.target,
            target_name=address.target_name,
            name=address.name,
            detail=address.detail,
        )
