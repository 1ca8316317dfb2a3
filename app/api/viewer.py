"""The type Viewer."""

from datetime import datetime

import strawberry
from strawberry import ID

from app.domain.viewer import Permission


@strawberry.type(description="Who asks: what the token of this request says.")
class Viewer:
    customer_id: ID = strawberry.field(
        description="The UUID of the customer (the tenant) whose data this token sees and changes, and no other's."
    )
    subject: str = strawberry.field(description="Who bears the token: its `sub` claim.")
    permissions: list[Permission] = strawberry.field(description="What the token may do.")
    now: datetime = strawberry.field(
        description="The time now by the server's clock: count down to `tmDeadline` by this one, not by the client's."
    )
