"""The queries of subscriptions: the event log after a cursor, and the calls that have changed since."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Select, and_, case, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.calls import Call, CallStatus
from app.domain.events import Event
from app.domain.transfer import Status, Type
from app.storage.calls import CHANGES
from app.storage.columns import unsought
from app.storage.counters import last_number
from app.storage.events import last_seq
from app.storage.lists import CALLS, EVENTS, CallFilter, Condition, call_conditions, transfers_with
from app.storage.rows import call_from, event_from

BATCH = 100
UP = [status for status in CallStatus if status is not CallStatus.HANGUP]
SCAN = 5_000
"""Most events of the log that one query searches for those that a filter selects."""


@dataclass(frozen=True, slots=True)
class EventFilter:
    """A filter of events. None selects all, an empty collection nothing. `statuses` were entered or left."""

    transfer_id: str | None = None
    call_id: str | None = None
    type: Type | None = None
    statuses: Collection[Status] | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """The next part of the log: the events selected from it, the last number searched, and whether that was the end."""

    events: list[Event]
    seq: int
    is_end: bool


@dataclass(frozen=True, slots=True)
class CallSeen:
    """A call as it is now, the number of its last change, and whether it is live and selected by the filter."""

    call: Call
    seq: int
    is_present: bool


async def events_after(connection: AsyncConnection, customer_id: str, seq: int, wanted: EventFilter) -> Chunk:
    last = await last_seq(connection, customer_id)
    until = min(last, seq + SCAN)
    if until <= seq:
        return Chunk([], seq, is_end=True)
    events = await _events(connection, _log(customer_id).where(EVENTS.c.seq > seq, EVENTS.c.seq <= until), wanted)
    read = events[-1].seq if len(events) == BATCH else until
    return Chunk(events, read, is_end=read == last)


async def transfer_events_after(
    connection: AsyncConnection, customer_id: str, transfer_id: str, version: int
) -> list[Event]:
    later = _log(customer_id).where(EVENTS.c.version > version)
    return await _events(connection, later, EventFilter(transfer_id=transfer_id))


async def first_seq(connection: AsyncConnection, customer_id: str) -> int | None:
    """Return the number of the oldest event that is kept. None: there is none."""
    statement = select(func.min(EVENTS.c.seq)).where(EVENTS.c.customer_id == customer_id)
    first: int | None = (await connection.execute(statement)).scalar()
    return first


def _log(customer_id: str) -> Select[tuple[object, ...]]:
    return select(EVENTS).where(EVENTS.c.customer_id == customer_id).order_by(EVENTS.c.seq).limit(BATCH)


async def _events(
    connection: AsyncConnection, statement: Select[tuple[object, ...]], wanted: EventFilter
) -> list[Event]:
    found = await connection.execute(statement.where(*_event_conditions(wanted)))
    return [event_from(row) for row in found.mappings()]


def _event_conditions(wanted: EventFilter) -> list[Condition]:
    e = EVENTS.c
    conditions = []
    if wanted.transfer_id is not None:
        conditions.append(e.transfer_id == wanted.transfer_id)
    if wanted.call_id is not None:
        conditions.append(e.transfer_id.in_(transfers_with(wanted.call_id)))
    if wanted.type is not None:
        conditions.append(e.type == wanted.type)
    if wanted.statuses is not None:
        entered_or_left = or_(e.status.in_(wanted.statuses), e.previous_status.in_(wanted.statuses))
        conditions.append(and_(e.previous_status.is_distinct_from(e.status), entered_or_left))
    return conditions


async def present_call_ids(connection: AsyncConnection, customer_id: str, wanted: CallFilter) -> tuple[list[str], int]:
    """Return the ids of the live calls that the filter selects, oldest first, and the number of the last change."""
    seq = await last_number(connection, customer_id, CHANGES)
    oldest_first = (unsought(CALLS.c.tm_create), CALLS.c.id)
    statement = select(CALLS.c.id).where(_is_present(customer_id, wanted)).order_by(*oldest_first)
    return list((await connection.execute(statement)).scalars()), seq


async def calls_seen(
    connection: AsyncConnection, customer_id: str, ids: Collection[str], wanted: CallFilter
) -> list[CallSeen]:
    """Return these calls as they are now, oldest first."""
    these = (unsought(CALLS.c.customer_id) == customer_id, CALLS.c.id.in_(ids))
    oldest_first = (CALLS.c.tm_create, CALLS.c.id)
    return await _calls(connection, _seen(customer_id, wanted).where(*these).order_by(*oldest_first))


async def calls_after(connection: AsyncConnection, customer_id: str, seq: int, wanted: CallFilter) -> list[CallSeen]:
    """Return the next calls that have changed since, each as it is now, even those that the filter excludes."""
    changed = (CALLS.c.customer_id == customer_id, CALLS.c.seq > seq)
    return await _calls(connection, _seen(customer_id, wanted).where(*changed).order_by(CALLS.c.seq))


def _is_present(customer_id: str, wanted: CallFilter) -> Condition:
    return and_(CALLS.c.status.in_(UP), *call_conditions(customer_id, wanted))


def _seen(customer_id: str, wanted: CallFilter) -> Select[tuple[object, ...]]:
    present = case((_is_present(customer_id, wanted), 1), else_=0).label("is_present")
    return select(CALLS, present).limit(BATCH)


async def _calls(connection: AsyncConnection, statement: Select[tuple[object, ...]]) -> list[CallSeen]:
    found = (await connection.execute(statement)).mappings()
    return [CallSeen(call_from(row), row["seq"], bool(row["is_present"])) for row in found]
