"""The simulated telephones, and the queries of their table."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from itertools import chain

from sqlalchemy import ColumnElement, RowMapping, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.calls import Call, CallStatus
from app.domain.orders import OrderKind
from app.domain.pieces import pieces
from app.storage.columns import table
from app.storage.rows import Json, call_from, call_row
from app.telephony.simulator.tables import SimulatedPhoneRow

PHONES = table(SimulatedPhoneRow)
UP = tuple(status.value for status in CallStatus if status is not CallStatus.HANGUP)
MOST_IDS = 500
"""Most ids in one statement, since a database limits the number of values."""


@dataclass(frozen=True, slots=True)
class Phone:
    """One telephone on one call.

    The hold and mute of `call` are the user's own. `ordered` is what the transfer has ordered on top of them.
    """

    call: Call
    ordered: OrderKind | None = None
    plan: str | None = None
    tm_plan: datetime | None = None


async def find(connection: AsyncConnection, call_id: str) -> Phone | None:
    found = await _select(connection, PHONES.c.id == call_id)
    return found[0] if found else None


async def up_in(connection: AsyncConnection, conference_id: str) -> list[Phone]:
    """Return the telephones that are in the bridge now."""
    return await _select(connection, PHONES.c.confbridge_id == conference_id, PHONES.c.status.in_(UP))


async def ever_in(connection: AsyncConnection, conference_id: str) -> list[Phone]:
    """Return the telephones that are in the bridge, and those that hung up in it."""
    return await _select(connection, PHONES.c.confbridge_id == conference_id)


async def up_or_of(connection: AsyncConnection, call_ids: Collection[str]) -> list[Phone]:
    """Return every telephone that is on a call, and the telephones of these calls."""
    found = await _select(connection, PHONES.c.status.in_(UP))
    return [*found, *await of(connection, set(call_ids).difference(phone.call.id for phone in found))]


async def of(connection: AsyncConnection, call_ids: Collection[str]) -> list[Phone]:
    """Return the telephones of these calls."""
    found = [await _select(connection, PHONES.c.id.in_(ids)) for ids in pieces(call_ids, MOST_IDS)]
    return list(chain(*found))


async def next_plan(connection: AsyncConnection) -> datetime | None:
    """Return when the next telephone acts by itself. None: no telephone plans anything."""
    planned = select(func.min(PHONES.c.tm_plan)).where(PHONES.c.tm_plan.is_not(None))  # the index has this condition
    due: datetime | None = await connection.scalar(planned)
    return due


async def first_due(connection: AsyncConnection, at: datetime) -> Phone | None:
    """Return the telephone that has been due for longest at this time."""
    statement = select(PHONES).where(PHONES.c.tm_plan <= at).order_by(PHONES.c.tm_plan, PHONES.c.id).limit(1)
    row = (await connection.execute(statement)).mappings().first()
    return _phone_from(row) if row else None


async def add(connection: AsyncConnection, phone: Phone) -> None:
    await connection.execute(insert(PHONES).values(_row(phone)))


async def replace(connection: AsyncConnection, phone: Phone) -> None:
    await connection.execute(update(PHONES).where(PHONES.c.id == phone.call.id).values(_row(phone)))


async def forget_all(connection: AsyncConnection) -> None:
    await connection.execute(delete(PHONES))


async def _select(connection: AsyncConnection, *where: ColumnElement[bool]) -> list[Phone]:
    statement = select(PHONES).where(*where).order_by(PHONES.c.tm_create, PHONES.c.id)
    return [_phone_from(row) for row in (await connection.execute(statement)).mappings()]


def _row(phone: Phone) -> Json:
    of_call = {name: value for name, value in call_row(phone.call).items() if name in PHONES.c}
    return of_call | {"ordered": phone.ordered, "plan": phone.plan, "tm_plan": phone.tm_plan}


def _phone_from(row: RowMapping) -> Phone:
    call = call_from({"external_id": None, "version": 0, **row})
    return Phone(call, row["ordered"] and OrderKind(row["ordered"]), row["plan"], row["tm_plan"])
