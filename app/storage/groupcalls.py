"""Groupcalls. Each follows its transfer and the legs of the transfer."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import ColumnElement, Text, and_, cast, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.calls import CallStatus, Groupcall
from app.domain.groupcalls import ends_with_its_legs, groupcall_of, leg_ended
from app.domain.transfer import Transfer
from app.storage import upsert
from app.storage.columns import table, unsought
from app.storage.rows import groupcall_from, groupcall_row
from app.storage.tables import CallRow, GroupcallRow

groupcalls = table(GroupcallRow)
calls = table(CallRow)


async def follow_transfer(connection: AsyncConnection, t: Transfer) -> None:
    """Record the groupcall as it is after a change of its transfer."""
    legs_up = () if t.open_attempts else await _legs_up(connection, t.groupcall_id)
    await _save(connection, groupcall_of(t, legs_up))


async def follow_leg(connection: AsyncConnection, groupcall_id: str, at: datetime) -> None:
    """Record the groupcall as it is after the end of one of its legs."""
    known = await _lock(connection, groupcall_id)
    if known and ends_with_its_legs(known):
        await _save(connection, leg_ended(known, await _legs_up(connection, groupcall_id), at))


async def _save(connection: AsyncConnection, groupcall: Groupcall) -> None:
    await upsert.save(connection, groupcalls, groupcall_row(groupcall), _differs)


def _differs(stored: upsert.Columns, new: upsert.Columns) -> ColumnElement[bool]:
    """A groupcall has no revision of its own: it is news when one of the columns that can change has changed."""
    differs = or_(
        stored.status != new.status,
        cast(stored.call_ids, Text) != cast(new.call_ids, Text),  # PostgreSQL can't compare JSON
        stored.answer_call_id.is_distinct_from(new.answer_call_id),
    )
    return and_(stored.customer_id == new.customer_id, differs)


async def _legs_up(connection: AsyncConnection, groupcall_id: str) -> set[str]:
    up = select(calls.c.id).where(calls.c.groupcall_id == groupcall_id, calls.c.status != CallStatus.HANGUP.value)
    return set((await connection.scalars(up)).all())


async def _lock(connection: AsyncConnection, groupcall_id: str) -> Groupcall | None:
    """Read the groupcall, and keep other writers from changing it until the end of the transaction."""
    this = select(groupcalls).where(groupcalls.c.id == groupcall_id).with_for_update()
    row = (await connection.execute(this)).mappings().first()
    return groupcall_from(row) if row else None


async def by_ids(connection: AsyncConnection, customer_id: str, ids: Collection[str]) -> dict[str, Groupcall]:
    wanted = select(groupcalls).where(unsought(groupcalls.c.customer_id) == customer_id, groupcalls.c.id.in_(ids))
    return {row["id"]: groupcall_from(row) for row in (await connection.execute(wanted)).mappings()}
