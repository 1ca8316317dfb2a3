"""The event log: one event for each change, numbered for each customer, in the transaction of the change."""

from dataclasses import replace

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.events import Event
from app.storage.columns import table
from app.storage.counters import last_number, next_number
from app.storage.rows import event_from, event_row
from app.storage.tables import EventRow

events = table(EventRow)
LOG = "events"


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
