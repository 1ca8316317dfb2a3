"""Bridges, as the engine last reported them."""

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.calls import Conference, ConferenceStatus
from app.storage import upsert
from app.storage.columns import table, unsought
from app.storage.rows import conference_from, conference_row
from app.storage.tables import ConferenceRow

conferences = table(ConferenceRow)


async def save(connection: AsyncConnection, conference: Conference) -> bool:
    """Record what the engine reports, and return whether it is news."""
    return await upsert.save(connection, conferences, conference_row(conference), upsert.is_newer)


async def by_id(connection: AsyncConnection, conference_id: str) -> Conference | None:
    """Return the bridge of any customer. Answers to clients need `by_ids`, which checks the customer."""
    row = (await connection.execute(select(conferences).where(conferences.c.id == conference_id))).mappings().first()
    return conference_from(row) if row else None


async def by_ids(connection: AsyncConnection, customer_id: str, ids: Collection[str]) -> dict[str, Conference]:
    wanted = select(conferences).where(unsought(conferences.c.customer_id) == customer_id, conferences.c.id.in_(ids))
    return {row["id"]: conference_from(row) for row in (await connection.execute(wanted)).mappings()}


async def live(connection: AsyncConnection) -> list[Conference]:
    up = conferences.c.status.not_in([ConferenceStatus.TERMINATING.value, ConferenceStatus.TERMINATED.value])
    return [conference_from(row) for row in (await connection.execute(select(conferences).where(up))).mappings()]
