"""The simulated bridges, and the queries of their table."""

from collections.abc import Collection
from dataclasses import dataclass, fields
from itertools import chain

from sqlalchemy import ColumnElement, RowMapping, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.calls import Conference, ConferenceStatus
from app.domain.pieces import pieces
from app.storage.columns import table
from app.storage.rows import Json, conference_from, conference_row
from app.telephony.simulator.phones import MOST_IDS
from app.telephony.simulator.tables import SimulatedBridgeRow

BRIDGES = table(SimulatedBridgeRow)
UP = tuple(status.value for status in ConferenceStatus if status is not ConferenceStatus.TERMINATED)


@dataclass(frozen=True, slots=True)
class Bridge:
    conference: Conference
    is_kept_alive: bool = False


async def find(connection: AsyncConnection, conference_id: str) -> Bridge | None:
    found = await _select(connection, BRIDGES.c.id == conference_id)
    return found[0] if found else None


async def up_or_of(connection: AsyncConnection, conference_ids: Collection[str]) -> list[Bridge]:
    """Return every bridge that has not ended, and the bridges with these ids."""
    found = await _select(connection, BRIDGES.c.status.in_(UP))
    known = {bridge.conference.id for bridge in found}
    return [*found, *await of(connection, set(conference_ids).difference(known))]


async def of(connection: AsyncConnection, conference_ids: Collection[str]) -> list[Bridge]:
    """Return the bridges with these ids."""
    found = [await _select(connection, BRIDGES.c.id.in_(ids)) for ids in pieces(conference_ids, MOST_IDS)]
    return list(chain(*found))


async def add(connection: AsyncConnection, bridge: Bridge) -> None:
    await connection.execute(insert(BRIDGES).values(_row(bridge)))


async def replace(connection: AsyncConnection, bridge: Bridge) -> None:
    await connection.execute(update(BRIDGES).where(BRIDGES.c.id == bridge.conference.id).values(_row(bridge)))


async def forget_all(connection: AsyncConnection) -> None:
    await connection.execute(delete(BRIDGES))


async def _select(connection: AsyncConnection, *where: ColumnElement[bool]) -> list[Bridge]:
    statement = select(BRIDGES).where(*where).order_by(BRIDGES.c.tm_create, BRIDGES.c.id)
    return [_bridge_from(row) for row in (await connection.execute(statement)).mappings()]


def _row(bridge: Bridge) -> Json:
    of_conference = {name: value for name, value in conference_row(bridge.conference).items() if name in BRIDGES.c}
    return of_conference | {"is_kept_alive": bridge.is_kept_alive}


def _bridge_from(row: RowMapping) -> Bridge:
    told = {field.name: row[field.name] for field in fields(Conference) if field.name in row}
    return Bridge(conference_from(told), row["is_kept_alive"])
