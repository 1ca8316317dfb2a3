"""The type Address."""

from typing import Self

import strawberry

from app.api.metering.price import text_of
from app.domain import addresses
from app.domain.addresses import LONGEST, AddressType


@strawberry.type(description="Where a call comes from or goes to. Parts that are absent are empty strings.")
class Address:
    type: AddressType = strawberry.field(description="What kind of address it is: says how to read `target`.")
    target: str = strawberry.field(
        description="The address itself: a telephone number, `user@host`, an agent's UUID …", metadata=text_of(LONGEST)
    )
    target_name: str = strawberry.field(
        description="The name that goes with the target; for an extension, its routing key.", metadata=text_of(LONGEST)
    )
    name: str = strawberry.field(description="A name to show to people.", metadata=text_of(LONGEST))
    detail: str = strawberry.field(description="Anything else to show to people.", metadata=text_of(LONGEST))

    @classmethod
    def of(cls, address: addresses.Address) -> Self:
        return cls(
            type=address.type,
            target=address.target,
            target_name=address.target_name,
            name=address.name,
            detail=address.detail,
        )
