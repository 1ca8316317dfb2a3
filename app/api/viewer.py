"""The type Viewer."""

from datetime import datetime

import strawberry
from strawberry import ID

from app.domain.viewer import Permission


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
