"""Bridges, as the engine last told of them."""

from collections.abc import Collection
from dataclasses import replace

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.calls import Conference, ConferenceStatus
from app.storage.columns import table, unsought
from app.storage.rows import conference_from, conference_row
from app.storage.tables import ConferenceRow

conferences = table(ConferenceRow)


async def save(connection: AsyncConnection, conference: Conference) -> bool:
    """Record what the engine told, if it is news."""
    of_it = conferences.c.id == conference.id
    known = (await connection.execute(select(conferences.c.revision, conferences.c.version).where(of_it))).first()
    if known is None:
        await connection.execute(insert(conferences).values(conference_row(replace(conference, version=1))))
        return True
    if known.revision >= conference.revision:
        return False
    row = conference_row(replace(conference, version=known.version + 1))
    await connection.execute(update(conferences).where(of_it).values(row))
    return True


async def by_id(connection: AsyncConnection, conference_id: str) -> Conference | None:
    """Of any customer: for the engine room, never for a client."""
    row = (await connection.execute(select(conferences).where(conferences.c.id == conference_id))).mappings().first()
    return conference_from(row) if row else None


async def by_ids(connection: AsyncConnection, customer_id: str, ids: Collection[str]) -> dict[str, Conference]:
    wanted = select(conferences).where(unsought(conferences.c.customer_id) == customer_id, conferences.c.id.in_(ids))
    return {row["id"]: conference_from(row) for row in (await connection.execute(wanted)).mappings()}


async def live(connection: AsyncConnection) -> list[Conference]:
    up = conferences.c.status.not_in([ConferenceStatus.TERMINATING.value, ConferenceStatus.TERMINATED.value])
    return [conference_from(row) for row in (await connection.execute(select(conferences).where(up))).mappings()]
