"""The simulator obeys the contract, outlasts the server, and misbehaves when it is told to."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import UUID, uuid4

import pytest

from app.domain.calls import Call, CallHangupReason, CallStatus
from app.domain.orders import Order, OrderKind
from app.ports import EngineRestarted, EngineUnavailable, OrderRefused, Reconnected, Report
from app.storage.database import Database
from app.telephony.simulator.behaviour import ANSWERS_RECALL
from app.telephony.simulator.simulator import Mischief, Simulator
from tests.telephony.contract import TelephonyContract
from tests.telephony.house import (
    AGENT,
    CALLER,
    CUSTOMER,
    STRANGER,
    dial_order,
    has_ended,
    is_ringing,
    is_talking,
    private,
    tel,
)
from tests.telephony.listening import Listener, in_background, listening

NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)


class StoppedClock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def wall_clock() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
def simulator(database: Database, clock: StoppedClock) -> Simulator:
    """Its telephones act when `act` is called: nothing runs in the background."""
    return Simulator(database, clock)


async def status_of(simulator: Simulator, call_id: str) -> Call:
    return next(r for r in await simulator.snapshot([call_id]) if isinstance(r, Call) and r.id == call_id)


async def dial(simulator: Simulator, number: str) -> str:
    order = dial_order(str(uuid4()), tel(number))
    await simulator.carry_out(order, CUSTOMER)
    return str(order.call_id)


class TestSimulator(TelephonyContract):
    @pytest.fixture
    async def engine(self, database: Database) -> AsyncIterator[Simulator]:
        simulator = Simulator(database, wall_clock, pace=100)
        async with in_background(simulator.run()):
            yield simulator


# --- time


@pytest.mark.parametrize(
    ("number", "seconds", "status"),
    [
        ("0100", 1.0, CallStatus.PROGRESSING),
        ("4242", 1.0, CallStatus.PROGRESSING),
        ("0102", 0.2, CallStatus.HANGUP),
        ("0104", 0.2, CallStatus.HANGUP),
    ],
)
async def test_a_telephone_acts_in_its_time(
    simulator: Simulator, clock: StoppedClock, number: str, seconds: float, status: CallStatus
) -> None:
    leg = await dial(simulator, number)

    assert await simulator.act() == NOON + timedelta(seconds=seconds)
    clock.advance(seconds - 0.001)
    assert (await status_of(simulator, leg)).status in (CallStatus.DIALING, CallStatus.RINGING)
    clock.advance(0.001)
    assert await simulator.act() is None
    assert (await status_of(simulator, leg)).status is status


async def test_a_transferers_telephone_rings_when_it_is_rung_back_until_somebody_answers(
    simulator: Simulator, clock: StoppedClock
) -> None:
    await simulator.carry_out(dial_order(recall := str(uuid4()), AGENT, is_recall=True), CUSTOMER)

    clock.advance(600)
    assert await simulator.act() is None
    assert (await status_of(simulator, recall)).status is CallStatus.RINGING


async def test_a_transferers_telephone_can_be_told_to_answer_when_it_is_rung_back(
    database: Database, clock: StoppedClock
) -> None:
    simulator = Simulator(database, clock, recalled=ANSWERS_RECALL)
    await simulator.carry_out(dial_order(recall := str(uuid4()), AGENT, is_recall=True), CUSTOMER)

    assert await simulator.act() == NOON + timedelta(seconds=3)
    clock.advance(3)
    await simulator.act()
    assert (await status_of(simulator, recall)).status is CallStatus.PROGRESSING


async def test_pace_is_how_fast_telephones_act(database: Database, clock: StoppedClock) -> None:
    simulator = Simulator(database, clock, pace=0.1)
    await dial(simulator, "0100")

    assert await simulator.act() == NOON + timedelta(seconds=10)


async def test_telephones_act_in_the_order_in_which_they_are_due(simulator: Simulator, clock: StoppedClock) -> None:
    async with listening(simulator) as heard:
        answering, declining = await dial(simulator, "0100"), await dial(simulator, "0104")
        clock.advance(60)
        await simulator.act()
        await heard.call(answering, is_talking)

    assert [call.id for call in heard.reports if isinstance(call, Call)][-2:] == [declining, answering]


async def test_a_telephone_that_is_due_sooner_is_not_waited_for(database: Database) -> None:
    simulator = Simulator(database, wall_clock, pace=0.001)
    async with listening(simulator) as heard, in_background(simulator.run()):
        slow = await dial(simulator, "0100")
        await heard.call(slow, is_ringing)
        soon = await dial(simulator, "0101")
        await heard.call(soon, is_talking)

    assert heard.calls[slow].status is CallStatus.RINGING


async def test_a_telephone_that_was_answered_for_does_not_answer_again(
    simulator: Simulator, clock: StoppedClock
) -> None:
    async with listening(simulator) as heard:
        leg = await dial(simulator, "0106")
        await simulator.answer(CUSTOMER, leg)
        clock.advance(1.9)
        await simulator.act()
        assert heard.calls[leg].status is CallStatus.PROGRESSING
        clock.advance(0.1)
        await simulator.act()

        call = await heard.call(leg, has_ended)
        assert (call.tm_progressing, call.tm_hangup) == (NOON, NOON + timedelta(seconds=2))


# --- a server that comes and goes


async def test_calls_outlast_the_server(
    simulator: Simulator, database_url: str, clock: StoppedClock, database: Database
) -> None:
    async with listening(simulator):
        talk = await simulator.call(CUSTOMER, CALLER, AGENT)
        await simulator.carry_out(Order(OrderKind.KEEP_ALIVE, confbridge_id=talk.conference_id), CUSTOMER)
        await simulator.carry_out(Order(OrderKind.HOLD, talk.caller_call_id), CUSTOMER)
    before = await simulator.snapshot()
    await database.close()

    async with _reopened(database_url) as again:
        restarted = Simulator(again, clock)
        assert await restarted.snapshot() == before
        [agent] = await restarted.carry_out(Order(OrderKind.HANG_UP, talk.agent_call_id), CUSTOMER)
        [caller] = await restarted.carry_out(Order(OrderKind.RESTORE, talk.caller_call_id), CUSTOMER)

    assert (agent.status, caller.status) == (CallStatus.HANGUP, CallStatus.PROGRESSING)


async def test_a_telephone_acts_that_was_due_while_the_server_was_down(
    simulator: Simulator, database_url: str, clock: StoppedClock, database: Database
) -> None:
    answering, brief = await dial(simulator, "0100"), await dial(simulator, "0106")
    await database.close()
    clock.advance(60)

    async with _reopened(database_url) as again:
        told = await Simulator(again, clock).snapshot([brief])

    calls = {report.id: report for report in told if isinstance(report, Call)}
    assert (calls[answering].status, calls[brief].status) == (CallStatus.PROGRESSING, CallStatus.HANGUP)
    assert calls[answering].tm_progressing == calls[answering].tm_update == NOON + timedelta(seconds=1)
    assert calls[brief].tm_progressing == NOON
    assert calls[brief].tm_hangup == NOON + timedelta(seconds=2)


async def test_what_was_due_is_reported_when_the_server_runs_again(
    simulator: Simulator, database_url: str, clock: StoppedClock, database: Database
) -> None:
    leg = await dial(simulator, "0100")
    await database.close()
    clock.advance(60)

    async with _reopened(database_url) as again:
        restarted = Simulator(again, clock)
        async with listening(restarted) as heard, in_background(restarted.run()):
            call = await heard.call(leg, is_talking)

    assert call.tm_progressing == NOON + timedelta(seconds=1)


class _reopened:
    def __init__(self, url: str) -> None:
        self._database = Database(url)

    async def __aenter__(self) -> Database:
        return self._database

    async def __aexit__(self, *error: object) -> None:
        await self._database.close()


# --- being heard


async def test_a_simulated_effect_returns_when_it_has_been_heard(simulator: Simulator) -> None:
    reports = simulator.reports()
    calling = asyncio.create_task(simulator.call(CUSTOMER, CALLER, AGENT))
    assert len(await anext(reports)) == 3
    assert not calling.done()
    asking = asyncio.create_task(_next(reports))

    assert (await calling).caller_call_id

    asking.cancel()


async def test_a_report_that_was_not_heard_to_the_end_comes_again(simulator: Simulator) -> None:
    leg = await dial(simulator, "0107")
    first = simulator.reports()
    told = await anext(first)
    await first.aclose()  # type: ignore[attr-defined]

    assert await anext(simulator.reports()) == told
    assert [report.status for report in told if isinstance(report, Call) and report.id == leg] == [
        CallStatus.DIALING,
        CallStatus.RINGING,
    ]


async def _next(reports: AsyncIterator[Sequence[Report]]) -> Sequence[Report]:
    return await anext(reports)


async def test_ids_come_from_the_given_maker(database: Database, clock: StoppedClock) -> None:
    numbers = count(1)
    simulator = Simulator(database, clock, new_id=lambda: str(UUID(int=next(numbers))))
    async with listening(simulator):
        talk = await simulator.call(CUSTOMER, CALLER, AGENT)

    assert [UUID(id_).int for id_ in (talk.conference_id, talk.caller_call_id, talk.agent_call_id)] == [1, 2, 3]


# --- bad days


async def test_an_order_whose_confirmation_is_lost_is_done_when_it_is_given_again(database: Database) -> None:
    simulator = Simulator(database, wall_clock, Mischief(seed=1, unavailable_rate=0.9))
    outcomes: Counter[str] = Counter()
    for _ in range(10):
        order = dial_order(str(uuid4()), tel("0107"))
        outcomes[await _persist(simulator, order)] += 1
    legs = await simulator.snapshot()

    assert len(legs) == 10
    assert outcomes["carried out, not confirmed"]
    assert outcomes["not carried out"]


async def _persist(simulator: Simulator, order: Order) -> str:
    """Give the order until it is confirmed; what had become of the first try."""
    first = None
    while True:
        try:
            await simulator.carry_out(order, CUSTOMER)
        except EngineUnavailable:
            there = any(isinstance(r, Call) and r.id == order.call_id for r in await simulator.snapshot())
            first = first or ("carried out, not confirmed" if there else "not carried out")
        else:
            return first or "confirmed"


async def test_a_sweeping_order_given_again_tells_of_what_it_swept(database: Database) -> None:
    simulator = Simulator(database, wall_clock, Mischief(seed=3, unavailable_rate=0.7))
    async with listening(simulator):
        talk = await simulator.call(CUSTOMER, CALLER, AGENT)
        while True:
            try:
                touched = await simulator.carry_out(Order(OrderKind.HANG_UP, talk.agent_call_id), CUSTOMER)
                break
            except EngineUnavailable:
                continue

    assert {call.id for call in touched if has_ended(call)} == {talk.caller_call_id, talk.agent_call_id}


async def test_a_refused_order_leaves_no_trace(database: Database) -> None:
    simulator = Simulator(database, wall_clock, Mischief(refuse_rate=1))

    with pytest.raises(OrderRefused):
        await dial(simulator, "0107")
    assert await simulator.snapshot() == []


async def test_a_leg_can_t_take_another_customer_s_id(simulator: Simulator) -> None:
    order = dial_order(str(uuid4()), tel("0107"))
    await simulator.carry_out(order, CUSTOMER)

    with pytest.raises(OrderRefused):
        await simulator.carry_out(order, STRANGER)


async def test_late_doubled_and_overtaken_reports_all_come(database: Database) -> None:
    simulator = Simulator(database, wall_clock, Mischief(seed=7, delay=0.03, duplicate_rate=0.5), pace=100)
    async with listening(simulator) as heard, in_background(simulator.run()):
        legs = [await dial(simulator, "0100") for _ in range(12)]
        await heard.until(lambda: all(_revisions(heard, leg) >= {1, 2, 3} for leg in legs))
        told = [[call.revision for call in heard.history(leg)] for leg in legs]

    assert any(len(revisions) > len(set(revisions)) for revisions in told), "a report came twice"
    assert any(revisions != sorted(revisions) for revisions in told), "a report overtook another"


async def test_a_simulated_effect_has_been_heard_however_late_its_reports_are(database: Database) -> None:
    simulator = Simulator(database, wall_clock, Mischief(seed=7, delay=0.03, duplicate_rate=1))
    async with listening(simulator) as heard:
        talk = await simulator.call(CUSTOMER, CALLER, AGENT)
        await simulator.hang_up(CUSTOMER, talk.caller_call_id)

        assert {call.status for call in heard.calls.values()} == {CallStatus.HANGUP}
        assert not heard.bridges[talk.conference_id].is_up


def _revisions(heard: Listener, call_id: str) -> set[int]:
    return {call.revision for call in heard.history(call_id)}


async def test_an_engine_that_is_down_takes_no_orders_and_loses_its_reports(
    simulator: Simulator, clock: StoppedClock
) -> None:
    async with listening(simulator) as heard:
        leg = await dial(simulator, "0100")
        simulator.disconnect()
        with pytest.raises(EngineUnavailable):
            await dial(simulator, "0107")
        with pytest.raises(EngineUnavailable):
            await simulator.snapshot()
        clock.advance(1)
        await simulator.act()
        assert not simulator.is_up()

        simulator.reconnect()
        await heard.until(lambda: Reconnected() in heard.reports)

    assert simulator.is_up()
    assert heard.calls[leg].status is CallStatus.RINGING
    assert (await status_of(simulator, leg)).status is CallStatus.PROGRESSING


async def test_an_engine_that_restarts_has_lost_every_call(simulator: Simulator) -> None:
    async with listening(simulator) as heard:
        talk = await simulator.call(CUSTOMER, CALLER, AGENT)
        await simulator.restart()
        await heard.until(lambda: EngineRestarted() in heard.reports)

    assert await simulator.snapshot([talk.agent_call_id], [talk.conference_id]) == []


async def test_an_effect_that_is_cut_short_calls_for_a_snapshot(database: Database, clock: StoppedClock) -> None:
    numbers = count(1)

    def cut_short_at_the_second_id() -> str:
        task = asyncio.current_task()
        if next(numbers) == 2 and task:
            task.cancel()
        return str(uuid4())

    simulator = Simulator(database, clock, new_id=cut_short_at_the_second_id)
    calling = asyncio.create_task(simulator.call(CUSTOMER, CALLER, AGENT))
    await asyncio.wait([calling])

    assert calling.cancelled()
    assert await anext(simulator.reports()) == [Reconnected()]
    assert await simulator.snapshot() == []


async def test_an_effect_that_never_began_leaves_nothing_to_ask_for(database: Database, clock: StoppedClock) -> None:
    simulator = Simulator(database, clock)
    async with database.writing():
        dialling = asyncio.create_task(dial(simulator, "0107"))
        await asyncio.sleep(0)
        dialling.cancel()
        await asyncio.wait([dialling])
    leg = await dial(simulator, "0107")

    first, *_ = await anext(simulator.reports())
    assert isinstance(first, Call)
    assert first.id == leg


async def test_a_held_party_that_leaves_is_held_no_more(simulator: Simulator) -> None:
    async with listening(simulator) as heard:
        talk = await simulator.call(CUSTOMER, CALLER, AGENT)
        await simulator.carry_out(Order(OrderKind.HOLD, talk.caller_call_id), CUSTOMER)
        await simulator.hang_up(CUSTOMER, talk.agent_call_id)
        caller = heard.calls[talk.caller_call_id]

    assert caller.hangup_reason is CallHangupReason.NORMAL
    assert not private(caller)[0]
