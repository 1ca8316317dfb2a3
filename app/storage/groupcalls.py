"""Groupcalls: the dialling of a transfer's destinations, as one resource. They follow the transfer and its legs."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.calls import CallStatus, Groupcall, GroupcallStatus
from app.domain.transfer import Transfer
from app.storage.columns import table, unsought
from app.storage.rows import groupcall_from, groupcall_row
from app.storage.tables import CallRow, GroupcallRow

groupcalls = table(GroupcallRow)
calls = table(CallRow)


async def follow_transfer(connection: AsyncConnection, t: Transfer) -> None:
    """Record what the dialling is like now, if that is news."""
    known = await _by_id(connection, t.groupcall_id)
    if known and known.customer_id != t.customer_id:
        return
    now = replace(await _present(connection, t), version=known.version + 1 if known else 1)
    if known is None:
        await connection.execute(insert(groupcalls).values(groupcall_row(now)))
    elif _differs(known, now):
        row = groupcall_row(now)
        await connection.execute(update(groupcalls).where(groupcalls.c.id == now.id).values(row))


async def follow_leg(connection: AsyncConnection, groupcall_id: str, at: datetime) -> None:
    """A leg has ended: the groupcall ends with the last one, when no more are to come."""
    known = await _by_id(connection, groupcall_id)
    if known is None or known.status is GroupcallStatus.HANGUP:
        return
    hunting = known.status is GroupcallStatus.PROGRESSING and known.answer_call_id is None
    if not hunting and not await _legs_up(connection, groupcall_id):
        ended = replace(known, status=GroupcallStatus.HANGUP, version=known.version + 1, tm_update=at)
        await connection.execute(update(groupcalls).where(groupcalls.c.id == known.id).values(groupcall_row(ended)))


async def _present(connection: AsyncConnection, t: Transfer) -> Groupcall:
    return Groupcall(
        id=t.groupcall_id,
        customer_id=t.customer_id,
        status=await _status(connection, t),
        source=t.transferer_address,
        destinations=t.transferee_addresses,
        ring_method=t.ring_method,
        call_ids=tuple(attempt.call_id for attempt in t.attempts),
        answer_call_id=t.transferee_call_id,
        tm_create=t.tm_create,
        tm_update=t.tm_update,
    )


async def _status(connection: AsyncConnection, t: Transfer) -> GroupcallStatus:
    if t.open_attempts:
        return GroupcallStatus.PROGRESSING
    up = await _legs_up(connection, t.groupcall_id)
    if t.transferee_call_id in up:
        return GroupcallStatus.PROGRESSING
    return GroupcallStatus.HANGINGUP if up else GroupcallStatus.HANGUP


async def _legs_up(connection: AsyncConnection, groupcall_id: str) -> set[str]:
    up = select(calls.c.id).where(calls.c.groupcall_id == groupcall_id, calls.c.status != CallStatus.HANGUP.value)
    return set((await connection.scalars(up)).all())


def _differs(known: Groupcall, now: Groupcall) -> bool:
    return (known.status, known.call_ids, known.answer_call_id) != (now.status, now.call_ids, now.answer_call_id)


async def _by_id(connection: AsyncConnection, groupcall_id: str) -> Groupcall | None:
    row = (await connection.execute(select(groupcalls).where(groupcalls.c.id == groupcall_id))).mappings().first()
    return groupcall_from(row) if row else None


async def by_ids(connection: AsyncConnection, customer_id: str, ids: Collection[str]) -> dict[str, Groupcall]:
    wanted = select(groupcalls).where(unsought(groupcalls.c.customer_id) == customer_id, groupcalls.c.id.in_(ids))
    return {row["id"]: groupcall_from(row) for row in (await connection.execute(wanted)).mappings()}
