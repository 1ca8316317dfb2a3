"""The changes of calls, as `callChanged` reads them: the live calls first, then those that have changed since."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Select, and_, case, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.calls import Call, CallStatus
from app.storage.calls import CHANGES
from app.storage.columns import unsought
from app.storage.counters import last_number
from app.storage.filters import CALLS, CallFilter, Condition, call_conditions
from app.storage.rows import call_from

BATCH = 100
"""Most calls that one query returns."""
UP = [status for status in CallStatus if status is not CallStatus.HANGUP]


@dataclass(frozen=True, slots=True)
class CallSeen:
    """A call as it is now, the number of its last change, and whether it is live and selected by the filter."""

    call: Call
    seq: int
    is_present: bool


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
