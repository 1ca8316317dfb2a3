"""Transfers whose orders the engine refuses, or carries out too late."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from app.domain.calls import RingMethod
from app.domain.orders import Order, OrderKind
from app.domain.refusals import Refusal, RefusalCode
from app.domain.start import StartRequest
from app.domain.transfer import FailurePolicy, SpeakingTo, Status, Timer, Transfer, Type
from app.ports import Rejection
from app.storage import orders
from app.storage.database import Database
from tests.builders import CUSTOMER, tel, viewer
from tests.stepping import Stepping

S, K = Status, OrderKind
SILENT, OTHER = tel("+15553000107"), tel("+15553010107")


async def consulting(house: Stepping, **more: object) -> Transfer:
    talk = await house.talk()
    t = await house.start(StartRequest(Type.ATTENDED, talk.agent_call_id, (SILENT,), **more))  # type: ignore[arg-type]
    await house.settle()
    await house.simulator.answer(CUSTOMER, t.attempts[0].call_id)
    await house.settle()
    return await house.see(t.id)


async def ringing_blind(house: Stepping, *parties: str, **more: object) -> Transfer:
    talk = await house.talk(*parties)
    request = StartRequest(Type.BLIND, talk.agent_call_id, (SILENT,), **more)  # type: ignore[arg-type]
    t = await house.start(request)
    await house.settle()
    return await house.see(t.id)


def of(kind: OrderKind, call_id: str | None) -> Callable[[Order], bool]:
    return lambda order: (order.kind, order.call_id) == (kind, call_id)


def once(kind: OrderKind, times: int = 1) -> Callable[[Order], bool]:
    left = iter([True] * times)
    return lambda order: order.kind is kind and next(left, False)


async def test_a_destination_that_can_not_join_is_hung_up_and_the_caller_released(database: Database) -> None:
    async with Stepping.in_(database) as house:
        t = await ringing_blind(house)
        (destination,) = t.leg_ids
        house.simulator.refuses = of(K.JOIN, destination)
        await house.simulator.answer(CUSTOMER, destination)
        await house.settle()
        t = await house.see(t.id)
        assert (t.status, t.outcome_reason, t.disposition, t.ended_by) == (
            "FAILED", "ENGINE_ERROR", "RELEASED", "SYSTEM",
        )  # fmt: skip
        assert t.transferee_call_id == destination
        for call_id in (destination, *t.held_call_ids):
            assert not (await house.call(call_id)).is_up
        await house.check_at_rest()


async def test_a_transferer_who_can_not_be_let_back_in_is_hung_up_and_the_caller_released(database: Database) -> None:
    async with Stepping.in_(database) as house:
        t = await ringing_blind(house)
        await house.simulator.reject(CUSTOMER, t.leg_ids[0], Rejection.BUSY)
        await house.settle()
        recall = (await house.see(t.id)).recall_call_id
        assert recall
        house.simulator.refuses = of(K.JOIN, recall)
        await house.simulator.answer(CUSTOMER, recall)
        await house.settle()
        t = await house.see(t.id)
        assert (t.status, t.outcome_reason, t.disposition) == ("FAILED", "ENGINE_ERROR", "RELEASED")
        assert not (await house.call(recall)).is_up
        await house.check_at_rest()


async def test_a_join_that_is_refused_for_a_while_only_takes_longer(database: Database) -> None:
    async with Stepping.in_(database) as house:
        t = await ringing_blind(house)
        house.simulator.refuses = once(K.JOIN, 2)
        await house.simulator.answer(CUSTOMER, t.leg_ids[0])
        await house.settle()
        assert (await house.see(t.id)).status is S.COMPLETED


async def test_a_destination_that_can_not_be_held_does_not_join(database: Database) -> None:
    """The destination answers while the transferer speaks with the held party."""
    async with Stepping.in_(database) as house:
        talk = await house.talk()
        t = await house.start(StartRequest(Type.ATTENDED, talk.agent_call_id, (SILENT,)))
        await house.settle()
        await house.tell(house.transfers.swap(viewer(), t.id, SpeakingTo.HELD))
        (destination,) = t.leg_ids
        house.simulator.refuses = of(K.HOLD, destination)
        await house.simulator.answer(CUSTOMER, destination)
        await house.settle()
        t = await house.see(t.id)
        assert (t.status, t.outcome_reason, t.disposition) == ("FAILED", "DESTINATION_HANGUP", "RETURNED")
        assert (await house.call(destination)).confbridge_id is None
        await house.check_at_rest()


async def test_a_hang_up_that_was_given_up_is_repeated_at_the_end(database: Database) -> None:
    async with Stepping.in_(database) as house:
        talk = await house.talk()
        t = await house.start(StartRequest(Type.ATTENDED, talk.agent_call_id, (SILENT, OTHER)))
        await house.settle()
        answered, loser = t.leg_ids
        house.simulator.refuses = of(K.HANG_UP, loser)
        await house.simulator.answer(CUSTOMER, answered)
        await house.settle()
        assert (await house.see(t.id)).status is S.CONSULTING
        assert (await house.call(loser)).is_up
        house.simulator.refuses = lambda order: False
        await house.transfers.complete(viewer(), t.id)
        await house.settle()
        assert (await house.see(t.id)).status is S.COMPLETED
        assert not (await house.call(loser)).is_up


async def test_after_a_refused_swap_a_swap_to_the_present_side_succeeds(database: Database) -> None:
    async with Stepping.in_(database) as house:
        t = await consulting(house)
        house.simulator.refuses = lambda order: order.kind is K.HOLD
        with pytest.raises(Refusal) as refused:
            await house.tell(house.transfers.swap(viewer(), t.id, SpeakingTo.HELD))
        assert (refused.value.code, refused.value.retryable) == (RefusalCode.ENGINE_UNAVAILABLE, True)
        present = await house.tell(house.transfers.swap(viewer(), t.id, SpeakingTo.DESTINATION))
        assert present.speaking_to is SpeakingTo.DESTINATION


async def test_a_command_that_changes_nothing_does_not_wait_for_an_older_ones_orders(database: Database) -> None:
    async with Stepping.in_(database) as house:
        t = await consulting(house)
        async with house.broker.listen("orders") as recorded:
            swapping = asyncio.ensure_future(house.transfers.swap(viewer(), t.id, SpeakingTo.HELD))
            await recorded()
        again = await house.transfers.swap(viewer(), t.id, SpeakingTo.HELD)
        assert again.speaking_to is SpeakingTo.HELD
        assert not swapping.done()
        await house.tell(swapping)


async def test_a_refused_merge_answers_when_all_is_as_it_was(database: Database) -> None:
    async with Stepping.in_(database) as house:
        t = await consulting(house, consult_timeout=60)
        await house.pass_(5)
        house.simulator.refuses = lambda order: order.kind is K.OPEN
        with pytest.raises(Refusal):
            await house.tell(house.transfers.merge(viewer(), t.id))
        async with house.database.reading() as connection:
            assert not await orders.waits(connection, t.id)
        back = await house.see(t.id)
        assert (back.status, back.timer, back.tm_deadline) == (S.CONSULTING, Timer.CONSULT, t.tm_deadline)


async def test_a_swap_that_was_taken_back_before_it_was_refused_costs_no_destination(database: Database) -> None:
    async with Stepping.in_(database) as house:
        t = await consulting(house)
        swaps = []
        for side in (SpeakingTo.HELD, SpeakingTo.DESTINATION):
            async with house.broker.listen("orders") as recorded:
                swaps.append(asyncio.ensure_future(house.transfers.swap(viewer(), t.id, side)))
                await recorded()
        house.simulator.refuses = once(K.HOLD)
        await house.settle()
        for swapped in await asyncio.gather(*swaps):
            assert (swapped.status, swapped.speaking_to) == ("CONSULTING", "DESTINATION")
        await house.check_at_rest()


async def test_a_destination_is_not_lost_when_taking_a_swap_back_needs_two_tries(database: Database) -> None:
    async with Stepping.in_(database) as house:
        t = await consulting(house)
        await house.tell(house.transfers.swap(viewer(), t.id, SpeakingTo.HELD))
        house.simulator.refuses = once(K.HOLD, 2)
        with pytest.raises(Refusal):
            await house.tell(house.transfers.swap(viewer(), t.id, SpeakingTo.DESTINATION))
        t = await house.see(t.id)
        assert (t.status, t.speaking_to) == ("CONSULTING", "HELD")
        await house.check_at_rest()


async def test_a_leg_that_can_not_be_hung_up_takes_no_swap_back(database: Database) -> None:
    async with Stepping.in_(database) as house:
        talk = await house.talk()
        t = await house.start(StartRequest(Type.ATTENDED, talk.agent_call_id, (SILENT, OTHER)))
        await house.settle()
        answered, loser = t.leg_ids
        house.simulator.refuses = of(K.HANG_UP, loser)
        await house.simulator.answer(CUSTOMER, answered)
        await house.settle()
        await house.tell(house.transfers.swap(viewer(), t.id, SpeakingTo.HELD))
        await house.simulator.answer(CUSTOMER, loser)
        await house.settle()
        assert (await house.see(t.id)).speaking_to is SpeakingTo.HELD


async def test_a_held_party_who_is_alone_once_the_others_have_left_is_released(database: Database) -> None:
    """Two parties are held in a conference. One leaves at the moment when the transfer fails."""
    async with Stepping.in_(database) as house:
        t = await ringing_blind(house, "+15551000003", on_failure=FailurePolicy.RELEASE)
        leaving, staying = t.held_call_ids
        await house.simulator.reject(CUSTOMER, t.leg_ids[0], Rejection.BUSY)
        await house.deliver()
        assert (await house.see(t.id)).status is S.ENDING
        await house.simulator.hang_up(CUSTOMER, leaving)
        await house.settle()
        assert (await house.see(t.id)).disposition == "RELEASED"
        assert not (await house.call(staying)).is_up


async def test_several_held_parties_who_are_released_stay_together(database: Database) -> None:
    async with Stepping.in_(database) as house:
        t = await ringing_blind(house, "+15551000003", on_failure=FailurePolicy.RELEASE)
        await house.simulator.reject(CUSTOMER, t.leg_ids[0], Rejection.BUSY)
        await house.settle()
        for held in t.held_call_ids:
            assert (await house.call(held)).is_up
        await house.check_at_rest()


async def test_a_dial_that_is_refused_after_it_was_carried_out_leaves_no_telephone_ringing(database: Database) -> None:
    """The engine's first answer was lost."""
    async with Stepping.in_(database) as house:
        talk = await house.talk("+15551000003")
        declines = tel("+15553000104")
        request = StartRequest(
            Type.BLIND,
            talk.agent_call_id,
            (declines, SILENT),
            ring_method=RingMethod.LINEAR,
            on_failure=FailurePolicy.RELEASE,
        )
        t = await house.start(request)
        await house.settle()
        await house.pass_(1)
        await house.deliver()
        dial = (await _recorded(house, t))[-1]
        await house.simulator.carry_out(dial, CUSTOMER)
        await house.deliver()
        house.simulator.refuses = lambda order: order.kind is K.DIAL
        await house.settle()
        t = await house.see(t.id)
        assert (t.status, t.outcome_reason) == ("FAILED", "UNREACHABLE")
        assert dial.call_id
        assert not (await house.call(dial.call_id)).is_up


async def test_a_destination_that_was_to_join_a_bridge_that_is_gone_is_hung_up(database: Database) -> None:
    """The transferer hangs up before the bridge is kept alive, and the reports of it are late."""
    async with Stepping.in_(database) as house:
        talk = await house.talk()
        t = await house.start(StartRequest(Type.BLIND, talk.agent_call_id, (SILENT,)))
        await house.simulator.hang_up(CUSTOMER, talk.agent_call_id)
        await asyncio.sleep(0)
        late, house.inbox = house.inbox, []
        for _ in (K.KEEP_ALIVE, K.DIAL):
            await house.dispatch.carry_out_next(t.id)
        (destination,) = t.leg_ids
        await house.simulator.answer(CUSTOMER, destination)
        await house.settle()
        assert (await house.see(t.id)).tm_end
        assert not (await house.call(destination)).is_up
        house.inbox += late
        await house.settle()
        await house.check_at_rest()


async def test_a_destination_that_leaves_the_bridge_long_after_the_transfer_is_left_alone(database: Database) -> None:
    """The exchange parks the call, say: it is an ordinary call now."""
    async with Stepping.in_(database) as house:
        t = await consulting(house)
        await house.transfers.complete(viewer(), t.id)
        await house.settle()
        assert t.transferee_call_id
        parked = await house.call(t.transferee_call_id)
        await house.recovery.hear(replace(parked, confbridge_id=None, revision=parked.revision + 1))
        await house.settle()
        assert (await house.call(t.transferee_call_id)).is_up


async def _late_dial(house: Stepping) -> Order:
    """Return the dial order of a transfer that ended before the engine received that order."""
    talk = await house.talk()
    t = await house.start(StartRequest(Type.ATTENDED, talk.agent_call_id, (SILENT,)))
    async with house.database.reading() as connection:
        (dial,) = [one for one in await orders.of_transfer(connection, t.id) if one.kind is K.DIAL]
    house.simulator.refuses = of(K.DIAL, t.leg_ids[0])
    await house.settle()
    assert (await house.see(t.id)).status is S.FAILED
    house.simulator.refuses = lambda order: False
    return dial


async def test_a_leg_that_is_dialled_too_late_is_ended(database: Database) -> None:
    async with Stepping.in_(database) as house:
        dial = await _late_dial(house)
        await house.simulator.carry_out(dial, CUSTOMER)
        await house.settle()
        assert dial.call_id
        assert not (await house.call(dial.call_id)).is_up
        await house.check_at_rest()


async def test_a_leg_that_was_dialled_too_late_while_the_server_was_down_is_ended(database: Database) -> None:
    async with Stepping.in_(database) as house:
        dial = await _late_dial(house)
        await house.simulator.carry_out(dial, CUSTOMER)
        await asyncio.sleep(0)
        house.inbox.clear()  # the report is lost
        await house.recovery.catch_up()
        await house.settle()
        assert dial.call_id
        assert not (await house.call(dial.call_id)).is_up


# --- the clock


@pytest.mark.parametrize("hours", [-1, 1])
async def test_a_clock_that_is_set_changes_no_ringing_time(database: Database, hours: int) -> None:
    async with Stepping.in_(database) as house:
        talk = await house.talk()
        t = await house.start(StartRequest(Type.ATTENDED, talk.agent_call_id, (SILENT,), ring_timeout=30))
        await house.settle()
        house.set_ahead = timedelta(hours=hours)
        await house.pass_(29)
        assert (await house.see(t.id)).status is S.RINGING
        await house.pass_(2)
        await house.settle()
        t = await house.see(t.id)
        assert (t.status, t.outcome_reason) == ("FAILED", "TIMEOUT")
        assert t.tm_end
        assert t.tm_create <= t.tm_update <= t.tm_end


@pytest.mark.parametrize("hours", [-1, 1])
async def test_a_merge_that_is_refused_gives_back_the_seconds_that_were_left(database: Database, hours: int) -> None:
    """Whatever the clock has been set to since the answer."""
    async with Stepping.in_(database) as house:
        t = await consulting(house, consult_timeout=60)
        house.set_ahead = timedelta(hours=hours)
        await house.pass_(30)
        house.simulator.refuses = lambda order: order.kind is K.OPEN
        with pytest.raises(Refusal):
            await house.tell(house.transfers.merge(viewer(), t.id))
        await house.pass_(29)
        assert (await house.see(t.id)).status is S.CONSULTING
        await house.pass_(2)
        assert (await house.see(t.id)).outcome_reason == "CONSULT_TIMEOUT"


async def test_after_a_restart_the_stored_deadline_decides(database: Database) -> None:
    async with Stepping.in_(database) as house:
        talk = await house.talk()
        t = await house.start(StartRequest(Type.ATTENDED, talk.agent_call_id, (SILENT,), ring_timeout=30))
        await house.settle()
        house.now += timedelta(seconds=31)
        again = Stepping(database)
        again.now = house.now
        await again.recovery.catch_up()
        await again.recovery.expire_due()
        assert (await house.see(t.id)).outcome_reason == "TIMEOUT"


async def test_an_answer_that_came_in_time_wins_though_the_timer_is_heard_first(database: Database) -> None:
    """The process does not run from before the answer until after the deadline."""
    async with Stepping.in_(database) as house:
        talk = await house.talk()
        answers_after_a_second = tel("+15553000100")
        request = StartRequest(Type.ATTENDED, talk.agent_call_id, (answers_after_a_second,), ring_timeout=2)
        t = await house.start(request)
        await house.settle()
        house.now += timedelta(seconds=3.5)
        await house.recovery.expire_due()
        assert (await house.see(t.id)).status is S.CONSULTING


async def test_an_outage_uses_up_no_ringing_time(database: Database) -> None:
    async with Stepping.in_(database) as house:
        talk = await house.talk()
        busy = tel("+15553000102")
        request = StartRequest(
            Type.ATTENDED, talk.agent_call_id, (busy, SILENT), ring_method=RingMethod.LINEAR, ring_timeout=30
        )
        t = await house.start(request)
        await house.settle()
        await house.pass_(1)
        await house.deliver()
        house.simulator.disconnect()
        await house.pass_(60)
        assert (await house.see(t.id)).tm_deadline is None
        house.simulator.reconnect()
        await house.settle()
        await house.pass_(29)
        assert (await house.see(t.id)).status is S.RINGING


async def test_a_hunt_that_goes_on_before_its_first_dial_is_confirmed_still_ends(database: Database) -> None:
    async with Stepping.in_(database) as house:
        talk = await house.talk()
        unreachable, silent = tel("+15553000105"), tel("+15553010107")
        request = StartRequest(
            Type.ATTENDED, talk.agent_call_id, (unreachable, silent), ring_method=RingMethod.LINEAR, ring_timeout=1
        )
        t = await house.start(request)
        for order in await _recorded(house, t):  # the engine carries the orders out, but no confirmation is recorded
            await house.simulator.carry_out(order, CUSTOMER)
        await house.pass_(0.1)
        await house.deliver()
        assert len((await house.see(t.id)).attempts) == 2
        await house.pass_(11)
        await house.settle()
        t = await house.see(t.id)
        assert (t.status, t.outcome_reason) == ("FAILED", "ENGINE_ERROR")


async def _recorded(house: Stepping, t: Transfer) -> list[Order]:
    async with house.database.reading() as connection:
        return await orders.of_transfer(connection, t.id)
