"""An engine that is away or fails, a stalled event loop, and bugs in the background tasks."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from app import recovery
from app.brokers.memory import MemoryBroker
from app.domain.calls import Call, Conference
from app.domain.orders import Order, OrderKind
from app.ports import OrderRefused, Report, utc_now
from app.storage.database import Database
from app.telephony.simulator.simulator import Simulator
from tests.faults.breakable import Clock
from tests.faults.test_database import is_ready, until_ready
from tests.inside import Inside, inside, settings_in, simulated
from tests.invariants import World
from tests.stories.desk import Desk, Refused, ending, leg

pytestmark = pytest.mark.slow


@asynccontextmanager
async def timed(folder: Path) -> AsyncIterator[tuple[Inside, Clock]]:
    clock = Clock()
    async with inside(settings_in(folder), clock=clock, counter=clock.counter) as served:
        yield served, clock


async def test_an_engine_that_is_away_for_a_minute_is_made_up_for(tmp_path: Path) -> None:
    async with timed(tmp_path) as (served, clock):
        desk, engine, broker = Desk(served.client()), served.simulator, served.house.broker
        consulting, ringing, left, idle = [await desk.talk() for _ in range(4)]
        completed = await desk.start(consulting, "0101", consultTimeout=30)
        await desk.until(completed, "CONSULTING")
        timed_out = await desk.start(ringing, "0107", ringTimeout=30)
        await desk.until_rings(timed_out)
        abandoned = await desk.start(left, "0107", ringTimeout=300)
        await desk.until_rings(abandoned)

        engine.disconnect()
        assert not await is_ready(served.url)
        with pytest.raises(Refused) as refused:
            await desk.start(idle, "0101")
        assert (refused.value.code, refused.value.error["message"]) == (
            "ENGINE_UNAVAILABLE",
            "The telephony engine is down.",
        )
        assert (await desk.tell(completed, "complete"))["status"] == "ENDING"
        await desk.simulate("Hangup", left.caller)  # the hang-up happens, but is not reported
        clock.advance(60)
        await broker.wake("timers")
        assert (await desk.until(timed_out, "ENDING"))["outcomeReason"] == "TIMEOUT"
        assert (await desk.see(completed))["status"] == "ENDING"

        engine.reconnect()
        assert await is_ready(served.url)
        assert ending(await desk.until_ended(completed)) == ("COMPLETED", None, None, "CLIENT")
        assert ending(await desk.until_ended(timed_out)) == ("FAILED", "TIMEOUT", "RETURNED", "SYSTEM")
        assert (await desk.until_ended(abandoned))["status"] == "ABANDONED"
        started = await desk.start(idle, "0101")
        await desk.until(started, "CONSULTING")
        (await World.read(served.house.database)).check_at_rest()


class Mute(Simulator):
    """Does not answer when it is asked how its calls are."""

    asked = 0

    async def look_up(self, *ids: Collection[str]) -> Sequence[Call | Conference]:
        self.asked += 1
        await asyncio.Event().wait()
        return ()


async def test_an_engine_that_says_nothing_stops_no_timer(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    database = Database(settings.url)
    engine = Mute(database, utc_now, pace=settings.simulator_pace)
    async with inside(settings, database=database, engine=simulated(engine)) as served:
        desk = Desk(served.client())
        t = await desk.start(await desk.talk(), "0107", ringTimeout=1)
        assert ending(await desk.until_ended(t)) == ("FAILED", "TIMEOUT", "RETURNED", "SYSTEM")
        assert engine.asked


async def test_an_engine_that_restarts_ends_what_it_forgot(tmp_path: Path) -> None:
    async with inside(settings_in(tmp_path)) as served:
        desk = Desk(served.client())
        transfers = [await desk.start(await desk.talk(), digits) for digits in ("0107", "0101", "0100")]
        await served.simulator.restart()
        ends = [await desk.until_ended(t) for t in transfers]
        assert {end["status"] for end in ends} <= {"FAILED", "ABANDONED"}
        again = await desk.start(await desk.talk(), "0101")
        await desk.until(again, "CONSULTING")
        (await World.read(served.house.database)).check_at_rest()


async def test_an_event_loop_that_stalls_costs_time_alone(tmp_path: Path) -> None:
    async with inside(settings_in(tmp_path)) as served:
        desk, loop = Desk(served.client()), asyncio.get_running_loop()
        for stalls in range(2):
            talk = await desk.talk()
            for n in range(4):
                loop.call_later(0.03 * n + 0.01 * stalls, time.sleep, 0.4)  # longer than the time limit of an order
            t = await desk.start(talk, "0101")
            await desk.until(t, "CONSULTING")
            await desk.tell(t, "merge")
            await desk.tell(t, "complete")
            assert ending(await desk.until_ended(t)) == ("COMPLETED", None, None, "CLIENT")
        (await World.read(served.house.database)).check_at_rest()


class Faulty(Simulator):
    """An engine whose stream of reports ends once, with a bug."""

    has_failed = False

    async def reports(self) -> AsyncIterator[Sequence[Report]]:
        async for reports in super().reports():
            if not self.has_failed:
                self.has_failed = True
                raise ZeroDivisionError
            yield reports


async def test_what_runs_all_along_begins_again_after_a_fault(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = settings_in(tmp_path)
    database = Database(settings.url)
    engine = Faulty(database, utc_now, pace=settings.simulator_pace)
    async with inside(settings, database=database, broker=MemoryBroker(), engine=simulated(engine)) as served:
        desk = Desk(served.client())
        calling = asyncio.create_task(desk.talk())
        async with asyncio.timeout(10):
            while served.house.recovery.caught_up.is_set():  # noqa: ASYNC110 - nothing signals its end
                await asyncio.sleep(0)
        assert not await is_ready(served.url)
        await until_ready(served.url)
        t = await desk.start(await calling, "0101")
        await desk.until(t, "CONSULTING")
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR] == [
        "Recovery.run ended, and begins again"
    ]


class Reluctant(Simulator):
    """An engine that refuses one RESTORE, after a long time."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, utc_now, pace=50)
        self.asked, self.refuse = asyncio.Event(), asyncio.Event()

    async def carry_out(self, order: Order, customer_id: str) -> Sequence[Call]:
        if order.kind is OrderKind.RESTORE and not self.asked.is_set():
            self.asked.set()
            await self.refuse.wait()
            raise OrderRefused("not now")
        return await super().carry_out(order, customer_id)


async def test_a_destination_that_answers_while_a_swap_is_refused_is_connected(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, order_seconds=60)
    database = Database(settings.url)
    engine = Reluctant(database)
    async with inside(settings, database=database, engine=simulated(engine)) as served:
        desk = Desk(served.client())
        t = await desk.start(await desk.talk(), "0107", "0107")
        t = await desk.until(t, "RINGING", when=lambda t: {a["outcome"] for a in t["attempts"]} == {"RINGING"})
        swapping = asyncio.create_task(desk.tell(t, "swap", speakTo="HELD"))
        await engine.asked.wait()
        await desk.simulate("Answer", leg(t, 0))
        await desk.until(t, "CONSULTING")
        engine.refuse.set()
        with pytest.raises(Refused):
            await swapping
        consulting = await desk.until(t, "CONSULTING", when=lambda t: t["speakingTo"] == "DESTINATION")
        await desk.tell(consulting, "complete")
        assert ending(await desk.until_ended(t)) == ("COMPLETED", None, None, "CLIENT")
        assert (await desk.party(leg(t, 0)))["confbridgeId"]
        assert (await desk.party(leg(t, 1)))["status"] == "HANGUP"
        (await World.read(served.house.database)).check_at_rest()


class Garbled(Simulator):
    """An engine that sends some malformed reports."""

    async def reports(self) -> AsyncIterator[Sequence[Report]]:
        async for reports in super().reports():
            calls = [one for one in reports if isinstance(one, Call)]
            yield [*(replace(call, id=None, groupcall_id=None) for call in calls), *reports]  # type: ignore[arg-type]


async def test_what_can_not_be_recorded_stops_nothing_that_came_with_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = settings_in(tmp_path)
    database = Database(settings.url)
    engine = Garbled(database, utc_now, pace=settings.simulator_pace)
    async with inside(settings, database=database, broker=MemoryBroker(), engine=simulated(engine)) as served:
        desk = Desk(served.client())
        t = await desk.start(await desk.talk(), "0101")
        await desk.until(t, "CONSULTING")
        await desk.tell(t, "complete")
        assert ending(await desk.until_ended(t)) == ("COMPLETED", None, None, "CLIENT")
    assert {r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR} == {"out of step"}


async def test_a_transfer_that_we_fail_at_stops_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "FAULT_SECONDS", 0)
    settings = settings_in(tmp_path)
    async with timed(tmp_path) as (served, clock):
        desk = Desk(served.client())
        faulty = await desk.start(await desk.talk(), "0107", ringTimeout=10)
        other = await desk.start(await desk.talk(), "0107", ringTimeout=20)
        await asyncio.gather(desk.until_rings(faulty), desk.until_rings(other))
        await _write_policy(served.house.database, faulty["id"], "OF_A_NEWER_VERSION")
        clock.advance(30)
        await served.house.broker.wake("timers")
        assert ending(await desk.until_ended(other)) == ("FAILED", "TIMEOUT", "RETURNED", "SYSTEM")
    async with inside(settings, clock=clock) as served:  # the faulty transfer does not prevent the start
        await _write_policy(served.house.database, faulty["id"], "RETURN_TO_TRANSFERER")
        assert ending(await Desk(served.client()).until_ended(faulty)) == ("FAILED", "TIMEOUT", "RETURNED", "SYSTEM")


async def _write_policy(database: Database, transfer_id: str, policy: str) -> None:
    async with database.writing() as connection:
        await connection.execute(
            text("UPDATE transfers SET on_failure = :policy WHERE id = :id"), {"policy": policy, "id": transfer_id}
        )
