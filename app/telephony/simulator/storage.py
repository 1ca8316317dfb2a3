"""The simulator's telephones and bridges."""

from collections.abc import Collection
from dataclasses import dataclass, fields
from datetime import datetime
from itertools import chain

from sqlalchemy import ColumnElement, RowMapping, Table, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.calls import Call, CallStatus, Conference, ConferenceStatus
from app.domain.orders import OrderKind
from app.domain.pieces import pieces
from app.storage.rows import Json, call_from, call_row, conference_from, conference_row
from app.storage.tables import SimulatedBridgeRow, SimulatedPhoneRow, table

PHONES = table(SimulatedPhoneRow)
BRIDGES = table(SimulatedBridgeRow)
UP = tuple(status.value for status in CallStatus if status is not CallStatus.HANGUP)
MOST_IDS = 500
"""In one statement: a database takes only so many values."""
STANDING = tuple(status.value for status in ConferenceStatus if status is not ConferenceStatus.TERMINATED)


@dataclass(frozen=True, slots=True)
class Phone:
    """One telephone on one call. Hold and mute of its `call` are the user's own; `ordered` lies over them."""

    call: Call
    ordered: OrderKind | None = None
    plan: str | None = None
    tm_plan: datetime | None = None


@dataclass(frozen=True, slots=True)
class Bridge:
    conference: Conference
    is_kept_alive: bool = False


async def find_phone(connection: AsyncConnection, call_id: str) -> Phone | None:
    found = await _phones(connection, PHONES.c.id == call_id)
    return found[0] if found else None


async def find_bridge(connection: AsyncConnection, conference_id: str) -> Bridge | None:
    found = await _bridges(connection, BRIDGES.c.id == conference_id)
    return found[0] if found else None


async def parties(connection: AsyncConnection, conference_id: str) -> list[Phone]:
    """The telephones that are in the bridge now."""
    return await _phones(connection, PHONES.c.confbridge_id == conference_id, PHONES.c.status.in_(UP))


async def all_parties(connection: AsyncConnection, conference_id: str) -> list[Phone]:
    """The telephones in the bridge, and those that have hung up in it."""
    return await _phones(connection, PHONES.c.confbridge_id == conference_id)


async def phones_up(connection: AsyncConnection, or_of: Collection[str]) -> list[Phone]:
    """Every telephone on a call, and those of these ids."""
    found = await _phones(connection, PHONES.c.status.in_(UP))
    return [*found, *await phones_of(connection, set(or_of).difference(phone.call.id for phone in found))]


async def phones_of(connection: AsyncConnection, call_ids: Collection[str]) -> list[Phone]:
    found = [await _phones(connection, PHONES.c.id.in_(ids)) for ids in pieces(call_ids, MOST_IDS)]
    return list(chain(*found))


async def bridges_up(connection: AsyncConnection, or_of: Collection[str]) -> list[Bridge]:
    """Every bridge that stands, and those of these ids."""
    found = await _bridges(connection, BRIDGES.c.status.in_(STANDING))
    known = {bridge.conference.id for bridge in found}
    return [*found, *await bridges_of(connection, set(or_of).difference(known))]


async def bridges_of(connection: AsyncConnection, conference_ids: Collection[str]) -> list[Bridge]:
    found = [await _bridges(connection, BRIDGES.c.id.in_(ids)) for ids in pieces(conference_ids, MOST_IDS)]
    return list(chain(*found))


async def next_plan(connection: AsyncConnection) -> datetime | None:
    """When the next telephone is due to do something by itself."""
    planned = select(func.min(PHONES.c.tm_plan)).where(PHONES.c.tm_plan.is_not(None))  # or its index is of no use
    due: datetime | None = await connection.scalar(planned)
    return due


async def first_due(connection: AsyncConnection, at: datetime) -> Phone | None:
    """Of the telephones that are due by then, the one that was due first."""
    statement = select(PHONES).where(PHONES.c.tm_plan <= at).order_by(PHONES.c.tm_plan, PHONES.c.id).limit(1)
    row = (await connection.execute(statement)).mappings().first()
    return _phone_from(row) if row else None


async def add_phone(connection: AsyncConnection, phone: Phone) -> None:
    await connection.execute(insert(PHONES).values(_phone_row(phone)))


async def add_bridge(connection: AsyncConnection, bridge: Bridge) -> None:
    await connection.execute(insert(BRIDGES).values(_bridge_row(bridge)))


async def replace_phone(connection: AsyncConnection, phone: Phone) -> None:
    await connection.execute(update(PHONES).where(PHONES.c.id == phone.call.id).values(_phone_row(phone)))


async def replace_bridge(connection: AsyncConnection, bridge: Bridge) -> None:
    await connection.execute(update(BRIDGES).where(BRIDGES.c.id == bridge.conference.id).values(_bridge_row(bridge)))


async def forget_all(connection: AsyncConnection) -> None:
    await connection.execute(delete(PHONES))
    await connection.execute(delete(BRIDGES))


async def _phones(connection: AsyncConnection, *where: ColumnElement[bool]) -> list[Phone]:
    statement = select(PHONES).where(*where).order_by(PHONES.c.tm_create, PHONES.c.id)
    return [_phone_from(row) for row in (await connection.execute(statement)).mappings()]


async def _bridges(connection: AsyncConnection, *where: ColumnElement[bool]) -> list[Bridge]:
    statement = select(BRIDGES).where(*where).order_by(BRIDGES.c.tm_create, BRIDGES.c.id)
    return [_bridge_from(row) for row in (await connection.execute(statement)).mappings()]


def _phone_row(phone: Phone) -> Json:
    extra = {"ordered": phone.ordered, "plan": phone.plan, "tm_plan": phone.tm_plan}
    return _known(PHONES, call_row(phone.call)) | extra


def _phone_from(row: RowMapping) -> Phone:
    call = call_from({"external_id": None, "version": 0, **row})
    return Phone(call, row["ordered"] and OrderKind(row["ordered"]), row["plan"], row["tm_plan"])


def _bridge_row(bridge: Bridge) -> Json:
    return _known(BRIDGES, conference_row(bridge.conference)) | {"is_kept_alive": bridge.is_kept_alive}


def _bridge_from(row: RowMapping) -> Bridge:
    told = {field.name: row[field.name] for field in fields(Conference) if field.name in row}
    return Bridge(conference_from(told), row["is_kept_alive"])


def _known(columns: Table, row: Json) -> Json:
    return {name: value for name, value in row.items() if name in columns.c}
