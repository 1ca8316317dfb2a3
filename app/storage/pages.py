"""Pages of lists: keyset cursors and counts. A deep page costs no more than the first: an index finds it."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import (
    ColumnElement,
    Select,
    Table,
    and_,
    func,
    literal,
    select,
    true,
    tuple_,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.calls import Call, Conference, Groupcall
from app.domain.events import Event
from app.domain.transfer import Reason, Status, Transfer
from app.storage.columns import table, unsought
from app.storage.filters import (
    CALLS,
    EVENTS,
    PARTIES,
    TRANSFERS,
    CallFilter,
    Condition,
    TransferFilter,
    call_conditions,
    transfer_conditions,
)
from app.storage.rows import call_from, conference_from, event_from, groupcall_from, transfer_from
from app.storage.tables import ConferenceRow, GroupcallRow

GROUPCALLS, CONFERENCES = table(GroupcallRow), table(ConferenceRow)

Key = tuple[Any, ...]
"""The keyset cursor of an item: the values that its list is ordered by."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a list: the first (backward: the last) `size` items that are after and before these keys."""

    size: int
    after: Key | None = None
    before: Key | None = None
    is_backward: bool = False


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Items in the order of the list, also when they were read backward."""

    items: tuple[T, ...] = ()
    has_next: bool = False
    has_previous: bool = False


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """A list with its filter and order. Its pages and its length are read in the caller's transaction."""

    table: Table
    conditions: tuple[Condition, ...]
    key: tuple[ColumnElement[Any], ...]
    convert: Callable[[Mapping[str, Any]], T]
    is_descending: bool = True

    async def page(self, connection: AsyncConnection, window: Window) -> Page[T]:
        rows = (await connection.execute(self._seek(window))).mappings().all()
        is_more = len(rows) > window.size
        found = rows[: window.size]
        return Page(
            tuple(map(self.convert, reversed(found) if window.is_backward else found)),
            has_next=(is_more and not window.is_backward) or await self._is_any(connection, window.before, ahead=True),
            has_previous=(is_more and window.is_backward) or await self._is_any(connection, window.after, ahead=False),
        )

    async def count(self, connection: AsyncConnection) -> int:
        statement = select(func.count()).select_from(self.table).where(*self.conditions)
        return int((await connection.execute(statement)).scalar_one())

    def _seek(self, window: Window) -> Select[Any]:
        goes_down = self.is_descending is not window.is_backward
        return (
            select(self.table)
            .where(*self.conditions)
            .where(self._beyond(window.after, ahead=True), self._beyond(window.before, ahead=False))
            .order_by(*(one.desc() if goes_down else one.asc() for one in self.key))
            .limit(window.size + 1)
        )

    def _beyond(self, key: Key | None, *, ahead: bool) -> Condition:
        if key is None:
            return true()
        mine, bound = tuple_(*self.key), self._tuple(key)
        beyond: Condition = mine < bound if self.is_descending is ahead else mine > bound
        return beyond

    async def _is_any(self, connection: AsyncConnection, key: Key | None, *, ahead: bool) -> bool:
        """Return whether the list has an item at this key, or beyond it in this direction."""
        if key is None:
            return False
        mine, bound = tuple_(*self.key), self._tuple(key)
        there = mine <= bound if self.is_descending is ahead else mine >= bound
        statement = select(literal(1)).where(*self.conditions, there).limit(1)
        return (await connection.execute(statement)).first() is not None

    def _tuple(self, key: Key) -> Any:
        return tuple_(*(literal(value, column.type) for value, column in zip(key, self.key, strict=True)))


def transfers(customer_id: str, wanted: TransferFilter, *, newest_first: bool = True) -> Listing[Transfer]:
    t = TRANSFERS.c
    key = (unsought(t.tm_create) if wanted.is_live else t.tm_create, t.id)
    return Listing(TRANSFERS, transfer_conditions(customer_id, wanted), key, transfer_from, newest_first)


def calls(customer_id: str, wanted: CallFilter) -> Listing[Call]:
    c = CALLS.c
    return Listing(CALLS, call_conditions(customer_id, wanted), (c.tm_create, c.id), call_from)


def groupcalls(customer_id: str) -> Listing[Groupcall]:
    c = GROUPCALLS.c
    return Listing(GROUPCALLS, (c.customer_id == customer_id,), (c.tm_create, c.id), groupcall_from)


def conferences(customer_id: str) -> Listing[Conference]:
    c = CONFERENCES.c
    return Listing(CONFERENCES, (c.customer_id == customer_id,), (c.tm_create, c.id), conference_from)


async def transfer_counts(
    connection: AsyncConnection, customer_id: str, wanted: TransferFilter
) -> list[tuple[Status, Reason | None, int]]:
    t = TRANSFERS.c
    statement = (
        select(t.status, t.outcome_reason, func.count())
        .where(*transfer_conditions(customer_id, wanted))
        .group_by(t.status, t.outcome_reason)
    )
    found = (await connection.execute(statement)).all()
    return [(Status(status), Reason(reason) if reason else None, int(count)) for status, reason, count in found]


async def transfers_of_calls(
    connection: AsyncConnection, customer_id: str, call_ids: Collection[str], window: Window
) -> dict[str, Page[Transfer]]:
    """Return a page of the transfers of each call, newest first. One query reads the first pages of all calls."""
    if window.after or window.before:
        listings = {id_: transfers(customer_id, TransferFilter(call_id=id_)) for id_ in call_ids}
        return {id_: await listing.page(connection, window) for id_, listing in listings.items()}
    found = _grouped((await connection.execute(_newest(customer_id, call_ids, window.size + 1))).mappings(), TRANSFERS)
    return {
        call_id: Page(tuple(map(transfer_from, rows[: window.size])), has_next=len(rows) > window.size)
        for call_id, rows in found.items()
    }


def _newest(customer_id: str, call_ids: Collection[str], size: int) -> Select[Any]:
    t, call_id = TRANSFERS.c, PARTIES.c.call_id
    place = func.row_number().over(partition_by=call_id, order_by=(t.tm_create.desc(), t.id.desc()))
    ranked = _parts(customer_id, call_ids, call_id.label("of"), t.id, place.label("place")).subquery()
    newest = select(TRANSFERS, ranked.c.of).join(ranked, ranked.c.id == t.id).where(ranked.c.place <= size)
    return newest.order_by(ranked.c.place)


async def count_transfers_of_calls(
    connection: AsyncConnection, customer_id: str, call_ids: Collection[str]
) -> dict[str, int]:
    call_id = PARTIES.c.call_id
    found = await connection.execute(_parts(customer_id, call_ids, call_id, func.count()).group_by(call_id))
    return {of: int(count) for of, count in found.all()}


def _parts(customer_id: str, call_ids: Collection[str], *columns: ColumnElement[Any]) -> Select[Any]:
    visible = transfer_conditions(customer_id, TransferFilter())
    parts = select(*columns).join_from(PARTIES, TRANSFERS, TRANSFERS.c.id == PARTIES.c.transfer_id)
    return parts.where(PARTIES.c.call_id.in_(call_ids), *visible)


async def events_of_transfers(
    connection: AsyncConnection, customer_id: str, transfer_ids: Collection[str], window: Window
) -> dict[str, tuple[Page[Event], int]]:
    """Return a page of the events of each transfer, in version order, and their number. Their key is `seq`."""
    e = EVENTS.c
    of_these = and_(unsought(e.customer_id) == customer_id, e.transfer_id.in_(transfer_ids))
    bounds = select(e.transfer_id, func.min(e.seq), func.max(e.seq), func.count()).where(of_these)
    totals = (await connection.execute(bounds.group_by(e.transfer_id))).all()
    rows = (await connection.execute(_events_within(of_these, window))).mappings()
    found = _grouped(rows, EVENTS)
    return {of: (_event_page(found[of], window, least, most), int(count)) for of, least, most, count in totals}


def _events_within(of_these: Condition, window: Window) -> Select[Any]:
    e = EVENTS.c
    order = e.seq.desc() if window.is_backward else e.seq.asc()
    place = func.row_number().over(partition_by=e.transfer_id, order_by=order)
    ranked = select(EVENTS, e.transfer_id.label("of"), place.label("place")).where(
        of_these,
        e.seq > window.after[0] if window.after else true(),
        e.seq < window.before[0] if window.before else true(),
    )
    inner = ranked.subquery()
    return select(inner).where(inner.c.place <= window.size).order_by(inner.c.seq)


def _event_page(rows: list[Mapping[str, Any]], window: Window, least: int, most: int) -> Page[Event]:
    events = tuple(map(event_from, rows))
    if events:
        return Page(events, has_next=most > events[-1].seq, has_previous=least < events[0].seq)
    if window.is_backward:
        end = window.before[0] if window.before else most + 1
        return Page(has_next=most >= end, has_previous=least < end)
    start = window.after[0] if window.after else least - 1
    return Page(has_next=most > start, has_previous=least <= start)


def _grouped(rows: Iterable[Mapping[Any, Any]], of: Table) -> dict[str, list[Mapping[str, Any]]]:
    """Group the rows by the column "of". Keep only the columns of the table."""
    found: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        found[row["of"]].append({column.name: row[column.name] for column in of.c})
    return found
