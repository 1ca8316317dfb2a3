"""Filters on transfers, events and calls, and the conditions that they become in a query."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, CompoundSelect, Select, and_, or_, select, union_all
from sqlalchemy.sql.elements import KeyedColumnElement

from app.domain.calls import CallDirection, CallStatus
from app.domain.transfer import LIVE, NOT_DELETED, TERMINAL, Reason, Status, Type
from app.storage.columns import table, unsought
from app.storage.tables import CallRow, EventRow, PartyRow, TransferRow

TRANSFERS, PARTIES, EVENTS, CALLS = table(TransferRow), table(PartyRow), table(EventRow), table(CallRow)

Condition = ColumnElement[bool]
Column = KeyedColumnElement[Any]


@dataclass(frozen=True, slots=True)
class TransferFilter:
    """A filter of transfers. None selects all, an empty collection nothing."""

    type: Type | None = None
    statuses: Collection[Status] | None = None
    is_live: bool | None = None
    call_id: str | None = None
    confbridge_id: str | None = None
    started_by: str | None = None
    outcome_reasons: Collection[Reason] | None = None
    tm_create_after: datetime | None = None
    tm_create_before: datetime | None = None
    tm_end_after: datetime | None = None
    tm_end_before: datetime | None = None
    include_deleted: bool = False


@dataclass(frozen=True, slots=True)
class CallFilter:
    """A filter of calls. None selects all, an empty collection nothing. `address`: the target of either side."""

    statuses: Collection[CallStatus] | None = None
    direction: CallDirection | None = None
    confbridge_id: str | None = None
    owner_id: str | None = None
    address: str | None = None


@dataclass(frozen=True, slots=True)
class EventFilter:
    """A filter of events. None selects all, an empty collection nothing. `statuses` were entered or left."""

    transfer_id: str | None = None
    call_id: str | None = None
    type: Type | None = None
    statuses: Collection[Status] | None = None


def transfer_conditions(customer_id: str, wanted: TransferFilter) -> tuple[Condition, ...]:
    t = TRANSFERS.c
    owner = t.customer_id if wanted.call_id is None else unsought(t.customer_id)
    live = None if wanted.is_live is None else LIVE if wanted.is_live else TERMINAL
    return (
        owner == customer_id,
        *([] if wanted.include_deleted else [t.tm_delete == NOT_DELETED]),
        *_equal((t.type, wanted.type), (t.confbridge_id, wanted.confbridge_id), (t.started_by, wanted.started_by)),
        *_among((t.status, live), (t.status, wanted.statuses), (t.outcome_reason, wanted.outcome_reasons)),
        *([] if wanted.call_id is None else [t.id.in_(transfers_with(wanted.call_id))]),
        *_between(t.tm_create, wanted.tm_create_after, wanted.tm_create_before),
        *_between(t.tm_end, wanted.tm_end_after, wanted.tm_end_before),
    )


def transfers_with(call_id: str) -> Select[tuple[str]]:
    """Return a query for the ids of the transfers that a call has a part in."""
    return select(PARTIES.c.transfer_id).where(PARTIES.c.call_id == call_id)


def call_conditions(customer_id: str, wanted: CallFilter) -> tuple[Condition, ...]:
    c = CALLS.c
    owner = c.customer_id if wanted.confbridge_id is None and wanted.address is None else unsought(c.customer_id)
    return (
        owner == customer_id,
        *_equal(
            (c.direction, wanted.direction), (c.owner_id, wanted.owner_id), (c.confbridge_id, wanted.confbridge_id)
        ),
        *_among((c.status, wanted.statuses)),
        *([] if wanted.address is None else [c.id.in_(_calls_of(customer_id, wanted.address))]),
    )


def _calls_of(customer_id: str, address: str) -> CompoundSelect[Any]:
    """Return a query for the ids of the calls from or to this target."""
    sides = (CALLS.c.source_target, CALLS.c.destination_target)
    return union_all(*(select(CALLS.c.id).where(CALLS.c.customer_id == customer_id, side == address) for side in sides))


def _equal(*wanted: tuple[Column, object]) -> list[Condition]:
    return [column == value for column, value in wanted if value is not None]


def _among(*wanted: tuple[Column, Collection[Any] | None]) -> list[Condition]:
    return [column.in_(values) for column, values in wanted if values is not None]


def _between(column: Column, since: datetime | None, until: datetime | None) -> list[Condition]:
    return [*([] if since is None else [column >= since]), *([] if until is None else [column < until])]


def event_conditions(wanted: EventFilter) -> list[Condition]:
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
