"""The outbox: orders are recorded in the transaction of their change, and carried out after it in that order."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.orders import Order, OrderKind
from app.domain.transfer import Transfer
from app.storage.columns import table
from app.storage.rows import order_from, order_json
from app.storage.tables import OrderRow

orders = table(OrderRow)

WAITING = "WAITING"
CONFIRMED = "CONFIRMED"
REFUSED = "REFUSED"
OVERRULED = "OVERRULED"
OF_NO_CHANGE = 0
"""The version of an order that follows from no change of the record."""


@dataclass(frozen=True, slots=True)
class RecordedOrder:
    id: int
    transfer_id: str
    customer_id: str
    version: int
    """The version of the change that the order follows from, or OF_NO_CHANGE."""
    tries: int
    order: Order


async def add(
    connection: AsyncConnection, transfer: Transfer, new: Sequence[Order], version: int | None = None
) -> None:
    """`version`: of the change that they follow from; by default the transfer's present one."""
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
            "version": transfer.version if version is None else version,
            "state": WAITING,
            "tries": 0,
            "kind": order.kind.value,
            "details": order_json(order),
        }
        for position, order in enumerate(new, start=last.scalar_one() + 1)
    ]
    await connection.execute(insert(orders), rows)


async def overrule(connection: AsyncConnection, transfer_id: str, versions: range) -> None:
    """Mark the waiting orders of these versions so that they are never carried out."""
    if not versions:
        return
    waiting = (orders.c.transfer_id == transfer_id) & (orders.c.state == WAITING)
    of_versions = orders.c.version.between(versions[0], versions[-1])
    await connection.execute(update(orders).where(waiting, of_versions).values(state=OVERRULED))


async def overrule_join(connection: AsyncConnection, transfer_id: str) -> None:
    """Mark the waiting joins of the transfer so that they are never carried out."""
    waiting = (orders.c.transfer_id == transfer_id) & (orders.c.state == WAITING)
    joins = orders.c.kind == OrderKind.JOIN.value
    await connection.execute(update(orders).where(waiting, joins).values(state=OVERRULED))


async def repeat_given_up(connection: AsyncConnection, transfer_id: str) -> None:
    """Let refused hang-ups wait again, after the present orders and before those that are added next."""
    of_transfer = orders.c.transfer_id == transfer_id
    last = select(func.max(orders.c.position)).where(of_transfer).scalar_subquery()
    given_up = (orders.c.state == REFUSED) & (orders.c.kind == OrderKind.HANG_UP.value)
    again = {"state": WAITING, "tries": 0, "position": orders.c.position + last}
    await connection.execute(update(orders).where(of_transfer, given_up).values(again))


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
    """Set the state of a waiting order. Return False if it no longer waits: a change has overruled it."""
    mine = (orders.c.id == order_id) & (orders.c.state == WAITING)
    return (await connection.execute(update(orders).where(mine).values(state=state))).rowcount == 1


async def count_try(connection: AsyncConnection, order_id: int) -> None:
    await connection.execute(update(orders).where(orders.c.id == order_id).values(tries=orders.c.tries + 1))


async def with_waiting(connection: AsyncConnection) -> list[str]:
    """Return the ids of the transfers that have waiting orders."""
    return list(
        (await connection.scalars(select(orders.c.transfer_id).where(orders.c.state == WAITING).distinct())).all()
    )


async def count_waiting(connection: AsyncConnection) -> int:
    waiting = select(func.count()).select_from(orders).where(orders.c.state == WAITING)
    return (await connection.execute(waiting)).scalar_one()


async def is_refused(connection: AsyncConnection, transfer_id: str, version: int) -> bool:
    """Return whether the engine has refused an order that follows from this version."""
    of_change = (orders.c.transfer_id == transfer_id) & (orders.c.version == version)
    refused = select(orders.c.id).where(of_change, orders.c.state == REFUSED).limit(1)
    return (await connection.execute(refused)).first() is not None


async def waits(
    connection: AsyncConnection,
    transfer_id: str,
    *,
    since: int = 0,
    kind: OrderKind | None = None,
    call_id: str | None = None,
) -> bool:
    """Return whether an order waits whose version is at least `since`. `kind` and `call_id` select further."""
    wanted = [orders.c.transfer_id == transfer_id, orders.c.state == WAITING, orders.c.version >= since]
    if kind:
        wanted.append(orders.c.kind == kind.value)
    found = (await connection.execute(select(orders.c.kind, orders.c.details).where(*wanted))).mappings()
    return any(call_id in (None, order_from(row["kind"], row["details"]).call_id) for row in found)


async def of_transfer(connection: AsyncConnection, transfer_id: str) -> list[Order]:
    """Return every order of the transfer, in the order in which they are carried out."""
    wanted = select(orders.c.kind, orders.c.details).where(orders.c.transfer_id == transfer_id)
    found = (await connection.execute(wanted.order_by(orders.c.position))).mappings()
    return [order_from(row["kind"], row["details"]) for row in found]
