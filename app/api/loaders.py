"""Batch loads for resolvers, each in a short transaction, within the viewer's customer and permissions."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection
from strawberry.dataloader import DataLoader

from app.api.errors import require
from app.api.metering.turns import Turns
from app.domain.calls import Call, Conference, Groupcall
from app.domain.events import Event
from app.domain.text import is_id
from app.domain.transfer import Party, Reason, Status, Transfer
from app.domain.viewer import Permission, Viewer
from app.storage import calls, conferences, groupcalls, pages, transfers
from app.storage.database import Database
from app.storage.events import last_seq
from app.storage.filters import TransferFilter
from app.storage.pages import Listing, Page, Window

K = TypeVar("K")
V = TypeVar("V")
Found = Transfer | Call | Groupcall | Conference
Question = Callable[[AsyncConnection, str, Collection[str]], Awaitable[Mapping[str, V]]]
"""Return the objects of a customer by these ids. Ids that lead to nothing are left out."""

MOST_KEYS = 1_000

PERMISSIONS: Mapping[type[Found], Permission] = {
    Transfer: Permission.TRANSFERS_READ,
    Call: Permission.CALLS_READ,
    Groupcall: Permission.CALLS_READ,
    Conference: Permission.CALLS_READ,
}


class Loaders:
    """The loaders of one operation, or of one event of a subscription. They cache, so they must not live longer."""

    def __init__(self, database: Database, viewer: Viewer) -> None:
        self._database = database
        self._viewer = viewer
        self._turns = Turns()
        self._transfers = self._loader(transfers.by_ids)
        self._calls = self._loader(calls.by_ids)
        self._groupcalls = self._loader(groupcalls.by_ids)
        self._conferences = self._loader(conferences.by_ids)
        self._parties = self._loader(calls.in_conferences)
        self._live_transfers = self._loader(transfers.live_by_calls)
        self._groupcall_transfers = self._loader(transfers.by_groupcalls)
        self._nodes = self._loader(_any_by_ids)
        self._transfer_pages = DataLoader(self._load_transfer_pages)
        self._transfer_totals = self._loader(pages.count_transfers_of_calls)
        self._event_pages = DataLoader(self._load_event_pages)

    async def transfer(self, id_: str | None) -> Transfer | None:
        require(self._viewer, Permission.TRANSFERS_READ)
        return await self._one(self._transfers, id_)

    async def transfer_of_groupcall(self, groupcall_id: str) -> Transfer | None:
        require(self._viewer, Permission.TRANSFERS_READ)
        return await self._one(self._groupcall_transfers, groupcall_id)

    async def live_transfer(self, call_id: str) -> tuple[Transfer, Party] | None:
        require(self._viewer, Permission.TRANSFERS_READ)
        return await self._one(self._live_transfers, call_id)

    async def transfers_of_call(self, call_id: str, window: Window) -> tuple[Page[Transfer], int]:
        """Return a page, and the end of the event log that was read before it."""
        require(self._viewer, Permission.TRANSFERS_READ)
        found = await self._transfer_pages.load((call_id, window))
        await self._turns.next(1 + len(found[0].items))
        return found

    async def count_transfers_of_call(self, call_id: str) -> int:
        require(self._viewer, Permission.TRANSFERS_READ)
        return await self._one(self._transfer_totals, call_id) or 0

    async def events_of_transfer(self, transfer_id: str, window: Window) -> tuple[Page[Event], int]:
        """Return a page of the events, and the number of all events."""
        require(self._viewer, Permission.TRANSFERS_READ)
        found = await self._event_pages.load((transfer_id, window))
        await self._turns.next(1 + len(found[0].items))
        return found

    async def call(self, id_: str | None) -> Call | None:
        require(self._viewer, Permission.CALLS_READ)
        return await self._one(self._calls, id_)

    async def calls(self, ids: Sequence[str]) -> list[Call]:
        """Return the calls in the order of the ids."""
        require(self._viewer, Permission.CALLS_READ)
        found = await self._calls.load_many(ids)
        await self._turns.next(len(ids))
        return [call for call in found if call]

    async def calls_in_conference(self, conference_id: str) -> list[Call]:
        require(self._viewer, Permission.CALLS_READ)
        return await self._one(self._parties, conference_id) or []

    async def groupcall(self, id_: str | None) -> Groupcall | None:
        require(self._viewer, Permission.CALLS_READ)
        return await self._one(self._groupcalls, id_)

    async def conference(self, id_: str | None) -> Conference | None:
        require(self._viewer, Permission.CALLS_READ)
        return await self._one(self._conferences, id_)

    async def node(self, id_: str) -> Found | None:
        found = await self._one(self._nodes, id_)
        if found is not None:
            require(self._viewer, PERMISSIONS[type(found)])
        return found

    async def page(self, listing: Listing[V], window: Window) -> Page[V]:
        async with self._reading() as connection:
            return await listing.page(connection, window)

    async def page_and_seq(self, listing: Listing[V], window: Window) -> tuple[Page[V], int]:
        """Return a page, and the end of the event log that was read before it."""
        async with self._reading() as connection:
            seq = await last_seq(connection, self._viewer.customer_id)
            return await listing.page(connection, window), seq

    async def count(self, listing: Listing[V]) -> int:
        async with self._reading() as connection:
            return await listing.count(connection)

    async def transfer_counts(self, wanted: TransferFilter) -> list[tuple[Status, Reason | None, int]]:
        require(self._viewer, Permission.TRANSFERS_READ)
        async with self._reading() as connection:
            return await pages.transfer_counts(connection, self._viewer.customer_id, wanted)

    def _reading(self) -> AbstractAsyncContextManager[AsyncConnection]:
        return self._database.reading(self._viewer.customer_id)

    async def _one(self, loader: DataLoader[str, V | None], id_: str | None) -> V | None:
        """Return one object. None: the id is unknown, or is no UUID and so not looked up in the database."""
        if not id_ or not is_id(id_):
            return None
        found = await loader.load(id_)
        await self._turns.next()
        return found

    def _loader(self, question: Question[V]) -> DataLoader[str, V | None]:
        async def load(ids: list[str]) -> list[V | None]:
            async with self._reading() as connection:
                found = await question(connection, self._viewer.customer_id, ids)
            return [found.get(id_) for id_ in ids]

        return DataLoader(load, max_batch_size=MOST_KEYS)

    async def _load_transfer_pages(self, keys: list[tuple[str, Window]]) -> list[tuple[Page[Transfer], int]]:
        found: dict[tuple[str, Window], Page[Transfer]] = {}
        async with self._reading() as connection:
            seq = await last_seq(connection, self._viewer.customer_id)
            for window, call_ids in _by_argument(keys).items():
                read = await pages.transfers_of_calls(connection, self._viewer.customer_id, call_ids, window)
                found |= {(call_id, window): page for call_id, page in read.items()}
        return [(found.get(key) or Page(), seq) for key in keys]

    async def _load_event_pages(self, keys: list[tuple[str, Window]]) -> list[tuple[Page[Event], int]]:
        found: dict[tuple[str, Window], tuple[Page[Event], int]] = {}
        async with self._reading() as connection:
            for window, ids in _by_argument(keys).items():
                read = await pages.events_of_transfers(connection, self._viewer.customer_id, ids, window)
                found |= {(transfer_id, window): page for transfer_id, page in read.items()}
        return [found.get(key) or (Page(), 0) for key in keys]


def _by_argument(keys: Sequence[tuple[str, K]]) -> dict[K, list[str]]:
    """Group the ids that are loaded with the same arguments."""
    grouped: dict[K, list[str]] = {}
    for id_, argument in keys:
        grouped.setdefault(argument, []).append(id_)
    return grouped


async def _any_by_ids(connection: AsyncConnection, customer_id: str, ids: Collection[str]) -> dict[str, Any]:
    """Return the objects of any type by these ids. Ids are unique across types."""
    found: dict[str, Any] = {}
    for by_ids in (transfers.by_ids, calls.by_ids, groupcalls.by_ids, conferences.by_ids):
        left = [id_ for id_ in ids if id_ not in found]
        found |= await by_ids(connection, customer_id, left) if left else {}
    return found
