"""Random lives: commands, phones, reports that are late, repeated or out of order, refusals, and crashes anywhere."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, rule
from sqlalchemy.ext.asyncio import AsyncConnection

from app.brokers.memory import MemoryBroker
from app.calls import Calls
from app.dispatch import Dispatch, NotYet
from app.domain.calls import Call, CallStatus, MuteDirection, RingMethod
from app.domain.effects import Rules
from app.domain.refusals import Refusal, RefusalCode
from app.domain.start import StartRequest
from app.domain.transfer import FailurePolicy, SpeakingTo, Type
from app.ports import EngineUnavailable, NoSuchCall, NotNow, Rejection, Report
from app.recovery import Recovery
from app.storage import calls as stored_calls
from app.storage import orders
from app.storage import transfers as stored
from app.storage.database import Database
from app.telephony.simulator.simulator import Mischief, Simulator
from app.timers import Timers
from app.transfers import Transfers
from tests.builders import CUSTOMER, NOON, tel, uid, viewer
from tests.invariants import World

T = TypeVar("T")
DIGITS = ("0107", "0107", "0101", "0102", "0103", "0104", "0105", "0106")
EXPECTED = {RefusalCode.ILLEGAL_TRANSITION, RefusalCode.NOT_FOUND, RefusalCode.ENGINE_UNAVAILABLE}


class Killed(BaseException):
    """Raised where the process dies. It is no Exception, so that the product can't catch it and go on."""


class FragileDatabase(Database):
    """A database that kills the process at a given write, before or right after the commit."""

    fuse = 0
    dies_after = False

    @asynccontextmanager
    async def writing(self, customer_id: str | None = None) -> AsyncIterator[AsyncConnection]:
        dies, self.fuse = self.fuse == 1, max(0, self.fuse - 1)
        async with super().writing(customer_id) as connection:
            yield connection
            if dies and not self.dies_after:
                raise Killed
        if dies:
            raise Killed


class Shaken(RuleBasedStateMachine):
    transfers = Bundle("transfers")
    mischief = Mischief()

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.runner = asyncio.Runner()
        self.now = NOON
        self.ids = count()
        self.started: list[str] = []
        self.inbox: list[Report] = []
        self.runner.run(self.open())

    # --- the process and its surroundings

    async def open(self) -> None:
        """Start a process on the database that the last one left."""
        file = Path(self.folder.name) / "transfers.sqlite3"
        self.database = FragileDatabase(f"sqlite+aiosqlite:///{file}")
        await self.database.upgrade()
        broker, rules = MemoryBroker(), Rules()
        self.simulator = Simulator(self.database, self.clock, self.mischief, new_id=self.new_id)
        self.calls = Calls(self.database, broker, self.clock)
        self.use_cases = Transfers(
            self.database,
            broker,
            self.clock,
            self.new_id,
            self.simulator.is_up,
            rules,
            Timers(self.counter),
            start_seconds=0,  # no task carries out orders, so a start must not wait for them
        )
        self.dispatch = Dispatch(
            self.database, broker, self.simulator, self.clock, self.use_cases, self.calls, rules, tries=3
        )
        self.recovery = Recovery(
            self.database, broker, self.simulator, self.clock, self.use_cases, self.calls, self.dispatch
        )
        self.inbox.clear()
        self.collector = asyncio.create_task(self.collect())
        await until_available(self.recovery.catch_up)

    async def collect(self) -> None:
        """Keep reports until a rule delivers them."""
        async for reports in self.simulator.reports():
            self.inbox.extend(reports)

    async def close(self) -> None:
        self.collector.cancel()
        with suppress(asyncio.CancelledError):
            await self.collector
        await self.database.close()

    def clock(self) -> datetime:
        self.now += timedelta(microseconds=1)  # each event has a time of its own
        return self.now

    def counter(self) -> float:
        return (self.now - NOON).total_seconds()

    def new_id(self) -> str:
        return uid(f"shaken {next(self.ids)}")

    def run(self, work: Callable[[], Awaitable[T]]) -> T | None:
        """Run one action. Return None when the process dies in it."""
        return self.runner.run(self.attempt(work))

    async def attempt(self, work: Callable[[], Awaitable[T]]) -> T | None:
        result = None
        try:
            with suppress(NoSuchCall, NotNow, EngineUnavailable, NotYet):
                result = await work()
        except Refusal as refusal:
            if refusal.code not in EXPECTED:
                raise
        except Killed:
            await self.close()
            await self.open()
        (await World.read(self.database)).check()
        return result

    # --- random actions

    @initialize()
    def two_calls(self) -> None:
        self.run(lambda: self.simulator.call(CUSTOMER, tel("+15551000001"), tel("+15551000002")))
        self.run(lambda: self.simulator.call(CUSTOMER, tel("+15552000001"), tel("+15552000002"), [tel("+15552000003")]))
        self.run(self.deliver_all)

    @rule(
        target=transfers,
        type_=st.sampled_from(Type),
        digits=st.lists(st.sampled_from(DIGITS), min_size=1, max_size=3),
        method=st.sampled_from((RingMethod.RING_ALL, RingMethod.LINEAR)),
        policy=st.sampled_from(FailurePolicy),
        consult=st.sampled_from((None, 20)),
        which=st.integers(0, 5),
    )
    def start(
        self,
        type_: Type,
        digits: list[str],
        method: RingMethod,
        policy: FailurePolicy,
        consult: int | None,
        which: int,
    ) -> str | None:
        async def start() -> str | None:
            call = await self.transferable(which)
            to = tuple(tel(f"+1555300{n}{digit}") for n, digit in enumerate(digits))
            request = StartRequest(type_, call.id, to, method, 10, consult, policy)
            try:
                return (await self.use_cases.start(viewer(), request)).id
            except Refusal as refusal:
                if refusal.code is RefusalCode.INVALID_ADDRESS:
                    raise
                return None

        return self.run(start)

    async def transferable(self, which: int) -> Call:
        """Return a call that can usually be transferred. Place a new one when there is none."""
        calls, _ = await self.calls.live()
        async with self.database.reading() as connection:
            busy = await stored.live_by_calls(connection, CUSTOMER, [call.id for call in calls])
        free = [call for call in calls if call.id not in busy and call.status is CallStatus.PROGRESSING]
        if not free:
            made = await self.simulator.call(CUSTOMER, tel("+15551000001"), tel("+15551000002"))
            await self.deliver_all()
            async with self.database.reading() as connection:
                free = list((await stored_calls.by_ids(connection, CUSTOMER, [made.agent_call_id])).values())
        return free[which % len(free)]

    @rule(transfer_id=transfers, verb=st.sampled_from(("complete", "cancel", "merge", "delete")))
    def command(self, transfer_id: str | None, verb: str) -> None:
        if transfer_id:
            self.run(lambda: self.ordered(getattr(self.use_cases, verb)(viewer(), transfer_id), transfer_id))

    @rule(transfer_id=transfers, side=st.sampled_from((SpeakingTo.HELD, SpeakingTo.DESTINATION)))
    def swap(self, transfer_id: str | None, side: SpeakingTo) -> None:
        if transfer_id:
            self.run(lambda: self.ordered(self.use_cases.swap(viewer(), transfer_id, side), transfer_id))

    async def ordered(self, command: Awaitable[Any], transfer_id: str) -> None:
        """Run a swap or merge, and carry out the orders that it waits for."""
        waiting = asyncio.ensure_future(command)
        try:
            while not waiting.done():
                await asyncio.wait([waiting], timeout=0.005)
                if not waiting.done():
                    with suppress(EngineUnavailable, NotYet):
                        await self.dispatch.carry_out_next(transfer_id)
        except Killed:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            raise
        await waiting

    @rule(which=st.integers(0, 9), act=st.sampled_from(("answer", "answer", "answer", "reject")))
    def ringing_telephone(self, which: int, act: str) -> None:
        async def do() -> None:
            calls, _ = await self.calls.live()
            ringing = [call for call in calls if call.status is CallStatus.RINGING]
            if ringing:
                extra = (Rejection.BUSY,) if act == "reject" else ()
                await getattr(self.simulator, act)(CUSTOMER, ringing[which % len(ringing)].id, *extra)

        self.run(do)

    @rule(which=st.integers(0, 9))
    def hang_up(self, which: int) -> None:
        async def do() -> None:
            calls, _ = await self.calls.live()
            if calls:
                await self.simulator.hang_up(CUSTOMER, calls[which % len(calls)].id)

        self.run(do)

    @rule()
    def everything_settles(self) -> None:
        self.run(self.settle)

    @rule(
        which=st.integers(0, 9), is_on_hold=st.booleans(), mute=st.sampled_from((MuteDirection.NONE, MuteDirection.OUT))
    )
    def own_hold(self, which: int, is_on_hold: bool, mute: MuteDirection) -> None:
        async def do() -> None:
            calls, _ = await self.calls.live()
            if calls:
                call = calls[which % len(calls)].id
                await self.simulator.hold(CUSTOMER, call, is_on_hold=is_on_hold, mute_direction=mute)

        self.run(do)

    @rule(which=st.integers(0, 9), count=st.integers(1, 4), again=st.booleans())
    def deliver(self, which: int, count: int, again: bool) -> None:
        """Process several reports at once. With `again`, one of them is repeated."""
        if not self.inbox:
            return
        reports = [self.inbox[(which + n) % len(self.inbox)] for n in range(count)]
        if not again:
            self.inbox = [report for report in self.inbox if report not in reports]
        self.run(lambda: self.recovery.hear(*reports))

    @rule(rounds=st.integers(1, 4))
    def carry_out(self, rounds: int) -> None:
        for _ in range(rounds):
            self.run(self.carry_out_some)

    @rule(seconds=st.sampled_from((0.3, 1.5, 5, 11, 25)))
    def time_passes(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.run(self.clocks)

    @rule(after=st.integers(1, 4), is_committed=st.booleans())
    def light_the_fuse(self, after: int, is_committed: bool) -> None:
        self.database.fuse, self.database.dies_after = after, is_committed

    @rule()
    def restart(self) -> None:
        async def restart() -> None:
            raise Killed

        self.run(restart)

    # --- progress

    async def deliver_all(self) -> None:
        await asyncio.sleep(0)
        while self.inbox:
            await self.recovery.hear(self.inbox.pop(0))
            await asyncio.sleep(0)

    async def carry_out_some(self) -> None:
        for transfer_id in await self.waiting():
            await self.dispatch.carry_out_next(transfer_id)

    async def carry_out_one(self, transfer_id: str) -> bool:
        try:
            return await self.dispatch.carry_out_next(transfer_id)
        except (EngineUnavailable, NotYet):
            return True  # the order is retried

    async def clocks(self) -> None:
        await self.simulator.act()
        await self.recovery.expire_due()

    async def waiting(self) -> list[str]:
        async with self.database.reading() as connection:
            return await orders.with_waiting(connection)

    async def settle(self) -> None:
        """Process all reports and carry out all orders, until none is left."""
        for _ in range(200):
            await self.deliver_all()
            busy = [await self.carry_out_one(transfer_id) for transfer_id in await self.waiting()]
            if not any(busy) and not self.inbox:
                return
        raise AssertionError("orders without end")

    def teardown(self) -> None:
        try:
            self.runner.run(self.come_to_an_end())
        finally:
            self.runner.run(self.close())
            self.runner.close()
            self.folder.cleanup()

    async def come_to_an_end(self) -> None:
        """Let the timers end all transfers, except merged ones and consultations without a time limit."""
        self.database.fuse = 0
        for _ in range(12):
            await self.settle()
            world = await World.read(self.database)
            world.check_at_rest()
            self.now += timedelta(seconds=30)
            await self.clocks()
        await self.settle()
        world = await World.read(self.database)
        world.check_at_rest()
        endless = {"MERGED", "CONSULTING"}
        assert {t.status.value for t in world.transfers if t.is_live} <= endless


class ShakenByRefusals(Shaken):
    mischief = Mischief(seed=1, refuse_rate=0.15, unavailable_rate=0.2)


async def until_available(work: Callable[[], Awaitable[None]]) -> None:
    while True:
        with suppress(EngineUnavailable):
            return await work()


LONG = settings(stateful_step_count=40, suppress_health_check=list(HealthCheck))
Shaken.TestCase.settings = LONG
ShakenByRefusals.TestCase.settings = LONG

TestShaken = pytest.mark.timeout(7200)(pytest.mark.slow(Shaken.TestCase))
TestShakenByRefusals = pytest.mark.timeout(7200)(pytest.mark.slow(ShakenByRefusals.TestCase))
