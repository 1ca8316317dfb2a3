"""Two customers, each with rows that point at the other's, and the API over them."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.api.context import Services
from app.api.metering.limits import Limits
from app.api.schema import build_schema
from app.calls import Calls
from app.domain.addresses import Address, AddressType
from app.domain.calls import Call, Conference, Groupcall, GroupcallStatus, RingMethod
from app.domain.effects import Rules
from app.domain.events import event_of
from app.domain.life import Change
from app.domain.transfer import HeldParty, Party, Status, Transfer, derived_id
from app.domain.viewer import Permission, Viewer
from app.storage import events, transfers
from app.storage.columns import metadata, table
from app.storage.database import Database
from app.storage.rows import groupcall_row
from app.storage.tables import GroupcallRow, PartyRow, TransferRow
from app.telephony.simulator import bridges, phones
from app.telephony.simulator.bridges import Bridge
from app.telephony.simulator.phones import Phone
from app.telephony.simulator.simulator import Simulator
from app.timers import Timers
from app.transfers import Transfers
from tests import executing
from tests.api.archive import ANYBODY, Archive
from tests.builders import NOON, bridge, call, leg, transfer, uid, viewer

# So wide that nothing is refused. The executor keeps documents, so each is validated once.
WIDE = Limits(
    max_cost=10**30,
    max_depth=100,
    max_aliases=10**6,
    max_repeats=10**6,
    max_tokens=10**6,
    max_length=10**6,
    budget=10**30,
    report_cost=False,
)
EXECUTOR = executing.executor_of(build_schema(), WIDE)


@dataclass(frozen=True)
class Tenant:
    name: str

    @property
    def customer(self) -> str:
        return uid(f"customer {self.name}")

    @property
    def secret(self) -> str:
        """A text that is part of every text of this tenant."""
        return f"secret of {self.name}"

    def id(self, what: str) -> str:
        return uid(f"{what} of {self.name}")

    def viewer(self, *permissions: Permission) -> Viewer:
        return viewer(self.customer, *permissions, subject=self.secret)

    def address(self, what: str) -> Address:
        return Address(AddressType.SIP, f"{what}@{self.name}.example", "", self.secret, self.secret)


US, THEM = Tenant("us"), Tenant("them")
NOBODY = Tenant("nobody")  # has no rows


def transfer_of(it: Tenant, what: str, status: Status, **changes: Any) -> Transfer:
    id_ = it.id(what)
    plain = transfer(
        status,
        id=id_,
        customer_id=it.customer,
        transferer_call_id=it.id(f"transferer of {what}"),
        transferer_address=it.address("agent"),
        transferee_addresses=(it.address("first"), it.address("second")),
        groupcall_id=derived_id(id_, "groupcall"),
        confbridge_id=it.id(f"bridge of {what}"),
        held=(HeldParty(it.id(f"held of {what}")),),
        note=it.secret,
        metadata={"key": it.secret},
        started_by=it.secret,
        timer=None,
        tm_deadline=None,
    )
    legs = tuple(
        replace(attempt, call_id=derived_id(id_, "leg", n), address=it.address("first"))
        for n, attempt in enumerate(plain.attempts)
    )
    answered = legs[0].call_id if plain.transferee_call_id else None
    return replace(plain, **({"attempts": legs, "transferee_call_id": answered} | changes))


def live(it: Tenant) -> Transfer:
    return transfer_of(
        it, "live", Status.CONSULTING, previous_transfer_id=it.id("past"), idempotency_key=f"key of {it.name}"
    )


def past(it: Tenant) -> Transfer:
    return transfer_of(it, "past", Status.FAILED)


def deleted(it: Tenant) -> Transfer:
    return transfer_of(it, "deleted", Status.FAILED, tm_delete=NOON)


def call_of(it: Tenant, id_: str, **changes: Any) -> Call:
    plain = call(
        id_,
        customer_id=it.customer,
        source=it.address("caller"),
        destination=it.address("agent"),
        external_id=f"{it.secret} {id_}",
        owner_id=it.id("owner"),
        confbridge_id=it.id("bridge of live"),
    )
    return replace(plain, **changes)


def calls_of(it: Tenant) -> list[Call]:
    t = live(it)
    parties = [call_of(it, id_) for id_ in (t.transferer_call_id, *t.held_call_ids)]
    legs = [
        replace(leg(a.call_id), customer_id=it.customer, groupcall_id=t.groupcall_id, source=it.address("agent"))
        for a in t.attempts
    ]
    idle = [call_of(it, it.id(what), confbridge_id=it.id("idle bridge")) for what in ("idle", "idle too")]
    free = [call_of(it, it.id("free"), confbridge_id=it.id("free bridge"))]
    return [*parties, *legs, *idle, *free]


def bridges_of(it: Tenant) -> list[Conference]:
    ids = [it.id(name) for name in ("bridge of live", "idle bridge", "free bridge")]
    return [replace(bridge(), id=id_, customer_id=it.customer, name=it.secret) for id_ in ids]


def crooked_transfers(it: Tenant, at: Tenant) -> list[Transfer]:
    """Return transfers of `it` that point at rows of `at`, as far as the locks of live transfers allow."""
    theirs = live(at)
    attempts = tuple(replace(attempt, address=it.address("first")) for attempt in theirs.attempts)
    links: dict[str, Any] = {
        "held": theirs.held,
        "groupcall_id": theirs.groupcall_id,
        "attempts": attempts,
        "previous_transfer_id": theirs.id,
        "transferee_call_id": theirs.transferee_call_id,
    }
    place = {"transferer_call_id": theirs.transferer_call_id, "confbridge_id": theirs.confbridge_id}
    unlocked = {"transferer_call_id": at.id("free"), "confbridge_id": at.id("free bridge")}
    return [
        transfer_of(it, "crooked past", Status.COMPLETED, **links, **place),
        transfer_of(it, "crooked live", Status.CONSULTING, **links),
        transfer_of(it, "crooked place", Status.CONSULTING, **unlocked),
    ]


def crooked_calls(it: Tenant, at: Tenant) -> list[Call]:
    """Return two calls of `it` that are in a bridge of `at`."""
    place = {"confbridge_id": at.id("bridge of live"), "groupcall_id": live(at).groupcall_id}
    return [call_of(it, it.id(what), **place) for what in ("crooked", "crooked too")]


def crooked_groupcall(it: Tenant, at: Tenant) -> Groupcall:
    legs = tuple(attempt.call_id for attempt in live(at).attempts)
    return Groupcall(
        it.id("crooked groupcall"),
        it.customer,
        GroupcallStatus.PROGRESSING,
        it.address("agent"),
        (it.address("first"),),
        RingMethod.RING_ALL,
        legs,
        NOON,
        NOON,
        answer_call_id=legs[0],
        external_id=it.secret,
        version=1,
    )


async def settle_in(estate: "Estate", it: Tenant, at: Tenant) -> None:
    """Store all rows of `it`. Some of them point at rows of `at`."""
    crooked = crooked_calls(it, at)
    await estate.keep(past(it), deleted(it), live(it), *calls_of(it), *crooked, *bridges_of(it))
    async with estate.database.writing() as connection:
        for t in crooked_transfers(it, at):
            await transfers.add(connection, t)
            await events.append(connection, event_of(Change(None, replace(t, version=1), (), None, it.secret)))
        await connection.execute(insert(table(GroupcallRow)).values(groupcall_row(crooked_groupcall(it, at))))
        await _be_party(connection, it, at)
        await _plug_in(connection, [*calls_of(it), *crooked], bridges_of(it))


async def _be_party(connection: AsyncConnection, it: Tenant, at: Tenant) -> None:
    """Store a row that gives a call of `at` a part in a live transfer of `it`. The transfer does not list the call."""
    row = {"transfer_id": live(it).id, "call_id": at.id("idle"), "role": Party.HELD.value}
    await connection.execute(insert(table(PartyRow)).values(row))


async def _plug_in(connection: AsyncConnection, known: Iterable[Call], places: Iterable[Conference]) -> None:
    """Add the calls and bridges to the simulator, so that an order to a telephone could reach it."""
    for one in known:
        await phones.add(connection, Phone(one))
    for place in places:
        await bridges.add(connection, Bridge(place))


class Estate(Archive):
    """An archive with a simulator, in which new ids are the same in every run."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        numbers = count()

        def new_id() -> str:
            return uid(f"new {next(numbers)}")

        self.simulator = Simulator(database, lambda: NOON + timedelta(seconds=1), new_id=new_id)
        use_cases = Transfers(
            database, self.broker, lambda: NOON, new_id, lambda: True, Rules(), Timers(), start_seconds=0
        )
        self.services = Services(database, use_cases, self.simulator, self.broker, lambda: NOON)

    async def answer(self, document: str, who: Viewer = ANYBODY, **variables: Any) -> Any:
        return await executing.ask(EXECUTOR, document, self.context(who), **variables)

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Estate"]:
        """Follow the reports of the simulator."""
        hearing = asyncio.create_task(self._hear())
        try:
            yield self
        finally:
            hearing.cancel()
            with suppress(asyncio.CancelledError):
                await hearing
            await self.database.close()

    async def _hear(self) -> None:
        calls = Calls(self.database, self.broker, lambda: NOON)
        async for reports in self.simulator.reports():
            await calls.hear(*(one for one in reports if isinstance(one, Call | Conference)))

    async def rows_of(self, customer: str) -> dict[str, list[Any]]:
        """Return all rows of a customer, by table."""
        async with self.database.reading() as connection:
            found = {
                name: [tuple(row) for row in await connection.execute(select(it).where(it.c.customer_id == customer))]
                for name, it in metadata.tables.items()
                if "customer_id" in it.c
            }
            own = select(table(TransferRow).c.id).where(table(TransferRow).c.customer_id == customer)
            parts = table(PartyRow)
            found["parties"] = [
                tuple(row) for row in await connection.execute(select(parts).where(parts.c.transfer_id.in_(own)))
            ]
        return found


def ids_of(it: Tenant) -> dict[str, list[str]]:
    """Return the ids of a tenant, by the name of the argument or input field that takes them."""
    theirs = [past(it), deleted(it), live(it)]
    transfer_ids = [t.id for t in theirs] + [it.id(f"crooked {what}") for what in ("past", "live", "place")]
    call_ids = [one.id for one in calls_of(it)] + [it.id("crooked"), it.id("crooked too")]
    bridge_ids = [one.id for one in bridges_of(it)]
    groupcall_ids = [live(it).groupcall_id, it.id("crooked groupcall")]
    return {
        "transferId": transfer_ids,
        "callId": call_ids,
        "confbridgeId": bridge_ids,
        "ownerId": [it.id("owner")],
        "id": [*transfer_ids, *call_ids, *bridge_ids, *groupcall_ids],
    }
