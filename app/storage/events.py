"""The event log: one event for each change, numbered for each customer, in the transaction of the change."""

from dataclasses import dataclass, replace

from sqlalchemy import Select, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.events import Event
from app.storage.columns import table
from app.storage.counters import last_number, next_number
from app.storage.filters import EventFilter, event_conditions
from app.storage.rows import event_from, event_row
from app.storage.tables import EventRow

events = table(EventRow)
LOG = "events"
BATCH = 100
"""Most events that one query returns."""
SCAN = 5_000
"""Most events of the log that one query searches for those that a filter selects."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """The next part of the log: the events selected from it, the last number searched, and whether that was the end."""

    events: list[Event]
    seq: int
    is_end: bool


async def append(connection: AsyncConnection, event: Event) -> Event:
    numbered = replace(event, seq=await next_number(connection, event.customer_id, LOG))
    await connection.execute(insert(events).values(event_row(numbered)))
    return numbered


async def last_seq(connection: AsyncConnection, customer_id: str) -> int:
    """Return the number of the customer's newest event. 0: there is none."""
    return await last_number(connection, customer_id, LOG)


async def latest(connection: AsyncConnection, customer_id: str, transfer_id: str) -> Event | None:
    of_transfer = (
        select(events)
        .where(events.c.customer_id == customer_id, events.c.transfer_id == transfer_id)
        .order_by(events.c.version.desc())
        .limit(1)
    )
    row = (await connection.execute(of_transfer)).mappings().first()
    return event_from(row) if row else None


async def events_after(connection: AsyncConnection, customer_id: str, seq: int, wanted: EventFilter) -> Chunk:
    last = await last_seq(connection, customer_id)
    until = min(last, seq + SCAN)
    if until <= seq:
        return Chunk([], seq, is_end=True)
    found = await _events(connection, _log(customer_id).where(events.c.seq > seq, events.c.seq <= until), wanted)
    read = found[-1].seq if len(found) == BATCH else until
    return Chunk(found, read, is_end=read == last)


async def transfer_events_after(
    connection: AsyncConnection, customer_id: str, transfer_id: str, version: int
) -> list[Event]:
    later = _log(customer_id).where(events.c.version > version)
    return await _events(connection, later, EventFilter(transfer_id=transfer_id))


async def first_seq(connection: AsyncConnection, customer_id: str) -> int | None:
    """Return the number of the oldest event that is kept. None: there is none."""
    statement = select(func.min(events.c.seq)).where(events.c.customer_id == customer_id)
    first: int | None = (await connection.execute(statement)).scalar()
    return first


def _log(customer_id: str) -> Select[tuple[object, ...]]:
    return select(events).where(events.c.customer_id == customer_id).order_by(events.c.seq).limit(BATCH)


async def _events(
    connection: AsyncConnection, statement: Select[tuple[object, ...]], wanted: EventFilter
) -> list[Event]:
    found = await connection.execute(statement.where(*event_conditions(wanted)))
    return [event_from(row) for row in found.mappings()]
