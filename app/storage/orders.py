"""Orders to the engine: recorded with the change that decides them, carried out after it, in this order."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.orders import Order
from app.domain.transfer import Transfer
from app.storage.rows import order_from, order_json
from app.storage.tables import OrderRow, table

orders = table(OrderRow)

WAITING = "WAITING"
CONFIRMED = "CONFIRMED"
REFUSED = "REFUSED"
OVERRULED = "OVERRULED"


@dataclass(frozen=True, slots=True)
class RecordedOrder:
    id: int
    transfer_id: str
    customer_id: str
    version: int
    """Of the change that it follows from."""
    tries: int
    order: Order


async def add(connection: AsyncConnection, transfer: Transfer, new: Sequence[Order]) -> None:
    if not new:
        return
    last = await connection.execute(
        select(func.coalesce(func.max(orders.c.position), 0)).where(orders.c.transfer_id == transfer.id)
    )
    rows = [
        {
            "transfer_id": transfer.id,
            "customer_id": transfer.customer_id,
            "position": position,
            "version": transfer.version,
            "state": WAITING,
            "tries": 0,
            "kind": order.kind.value,
            "details": order_json(order),
        }
        for position, order in enumerate(new, start=last.scalar_one() + 1)
    ]
    await connection.execute(insert(orders), rows)


async def overrule(connection: AsyncConnection, transfer_id: str, versions: range) -> None:
    """What waits of these versions is not to be carried out any more."""
    if not versions:
        return
    waiting = (orders.c.transfer_id == transfer_id) & (orders.c.state == WAITING)
    of_versions = orders.c.version.between(versions[0], versions[-1])
    await connection.execute(update(orders).where(waiting, of_versions).values(state=OVERRULED))


async def first_waiting(connection: AsyncConnection, transfer_id: str) -> RecordedOrder | None:
    waiting = (
        select(orders)
        .where(orders.c.transfer_id == transfer_id, orders.c.state == WAITING)
        .order_by(orders.c.position)
        .limit(1)
    )
    row = (await connection.execute(waiting)).mappings().first()
    if row is None:
        return None
    order = order_from(row["kind"], row["details"])
    return RecordedOrder(row["id"], row["transfer_id"], row["customer_id"], row["version"], row["tries"], order)


async def settle(connection: AsyncConnection, order_id: int, state: str) -> bool:
    """False if it was overruled meanwhile."""
    mine = (orders.c.id == order_id) & (orders.c.state == WAITING)
    return (await connection.execute(update(orders).where(mine).values(state=state))).rowcount == 1


async def count_try(connection: AsyncConnection, order_id: int) -> None:
    await connection.execute(update(orders).where(orders.c.id == order_id).values(tries=orders.c.tries + 1))


async def with_waiting(connection: AsyncConnection) -> list[str]:
    """The transfers that have orders waiting."""
    return list(
        (await connection.scalars(select(orders.c.transfer_id).where(orders.c.state == WAITING).distinct())).all()
    )


async def count_waiting(connection: AsyncConnection) -> int:
    waiting = select(func.count()).select_from(orders).where(orders.c.state == WAITING)
    return (await connection.execute(waiting)).scalar_one()


async def states_of_version(connection: AsyncConnection, transfer_id: str, version: int) -> set[str]:
    of_change = (orders.c.transfer_id == transfer_id) & (orders.c.version == version)
    return set((await connection.scalars(select(orders.c.state).where(of_change).distinct())).all())
