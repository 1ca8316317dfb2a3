"""Calls, as the engine last reported them."""

from collections import defaultdict
from collections.abc import Collection

from sqlalchemy import case, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.calls import Call, CallStatus
from app.storage import upsert
from app.storage.columns import table, unsought
from app.storage.counters import next_number, upcoming_number
from app.storage.rows import call_from, call_row
from app.storage.tables import CallRow

calls = table(CallRow)
CHANGES = "calls"
NEXT_CHANGE = upcoming_number(CHANGES)
MOST_PARTIES = 100


async def save(connection: AsyncConnection, call: Call) -> bool:
    """Record what the engine reports, and return whether it is news. Only news takes a number of the change feed."""
    row = call_row(call) | {"sequence_of": call.customer_id}
    is_news = await upsert.save(connection, calls, row, upsert.is_newer, NEXT_CHANGE)
    if is_news:
        await next_number(connection, call.customer_id, CHANGES)  # the number that is in the row
    return is_news


async def touch(connection: AsyncConnection, customer_id: str, ids: Collection[str]) -> None:
    """Give each of these calls a new version, since its part in a live transfer has changed.

    The revision stays as it is, so that the engine's next report is still news.
    """
    if not ids:
        return
    last = await next_number(connection, customer_id, CHANGES, len(ids))
    seq = case(*((calls.c.id == id_, last - n) for n, id_ in enumerate(ids)))
    these = (calls.c.id.in_(ids), unsought(calls.c.customer_id) == customer_id)
    await connection.execute(update(calls).where(*these).values(version=calls.c.version + 1, seq=seq))


async def by_ids(connection: AsyncConnection, customer_id: str, ids: Collection[str]) -> dict[str, Call]:
    wanted = select(calls).where(unsought(calls.c.customer_id) == customer_id, calls.c.id.in_(ids))
    return {row["id"]: call_from(row) for row in (await connection.execute(wanted)).mappings()}


async def around(
    connection: AsyncConnection, customer_id: str, ids: Collection[str], confbridge_id: str
) -> dict[str, Call]:
    """Return these calls, and every live call in the bridge."""
    in_bridge = (calls.c.confbridge_id == confbridge_id) & (calls.c.status != CallStatus.HANGUP.value)
    wanted = select(calls).where(unsought(calls.c.customer_id) == customer_id, calls.c.id.in_(ids) | in_bridge)
    return {row["id"]: call_from(row) for row in (await connection.execute(wanted)).mappings()}


async def in_conferences(
    connection: AsyncConnection, customer_id: str, conference_ids: Collection[str]
) -> dict[str, list[Call]]:
    """Return the parties that each bridge has now: the oldest 100, oldest first."""
    place = func.row_number().over(partition_by=calls.c.confbridge_id, order_by=(calls.c.tm_create, calls.c.id))
    present = (
        select(calls, place.label("place"))
        .where(
            unsought(calls.c.customer_id) == customer_id,
            calls.c.confbridge_id.in_(conference_ids),
            calls.c.status != CallStatus.HANGUP.value,
        )
        .subquery()
    )
    found = await connection.execute(select(present).where(present.c.place <= MOST_PARTIES).order_by(present.c.place))
    grouped: dict[str, list[Call]] = defaultdict(list)
    for row in found.mappings():
        grouped[row["confbridge_id"]].append(call_from(row))
    return grouped


async def others_in_bridge(connection: AsyncConnection, call: Call) -> list[Call]:
    """Return the other answered calls in the bridge of this call."""
    if call.confbridge_id is None:
        return []
    others = (
        select(calls)
        .where(
            calls.c.confbridge_id == call.confbridge_id,
            unsought(calls.c.customer_id) == call.customer_id,
            calls.c.id != call.id,
            calls.c.status == CallStatus.PROGRESSING.value,
        )
        .order_by(calls.c.tm_create, calls.c.id)
    )
    return [call_from(row) for row in (await connection.execute(others)).mappings()]


async def answered_of_owners(connection: AsyncConnection, customer_id: str, owner_ids: Collection[str]) -> list[Call]:
    """Return the calls on which these agents talk, oldest first."""
    theirs = (
        select(calls)
        .where(
            calls.c.customer_id == customer_id,
            calls.c.status == CallStatus.PROGRESSING.value,
            unsought(calls.c.owner_id).in_(owner_ids),
        )
        .order_by(calls.c.tm_create, calls.c.id)
    )
    return [call_from(row) for row in (await connection.execute(theirs)).mappings()]


async def live(connection: AsyncConnection) -> list[Call]:
    up = select(calls).where(calls.c.status != CallStatus.HANGUP.value)
    return [call_from(row) for row in (await connection.execute(up)).mappings()]
