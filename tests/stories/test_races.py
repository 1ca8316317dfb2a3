"""Pairs of actions at the same time, in both orders, and with their reports in both orders."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from itertools import permutations

import pytest

from app.domain.refusals import Refusal, RefusalCode
from app.domain.start import StartRequest
from app.domain.transfer import Status, Transfer, Type
from app.ports import NoSuchCall, NotNow, Rejection
from app.recording import Stale
from app.storage.database import Database
from tests.builders import CUSTOMER, tel, viewer
from tests.stepping import Stepping

S = Status
Act = Callable[[Stepping, Transfer], Awaitable[object]]


async def answers(house: Stepping, t: Transfer) -> None:
    await house.simulator.answer(CUSTOMER, t.recall_call_id or t.attempts[0].call_id)


async def other_answers(house: Stepping, t: Transfer) -> None:
    await house.simulator.answer(CUSTOMER, t.attempts[1].call_id)


async def rejects(house: Stepping, t: Transfer) -> None:
    await house.simulator.reject(CUSTOMER, t.recall_call_id or t.attempts[0].call_id, Rejection.BUSY)


async def destination_hangs_up(house: Stepping, t: Transfer) -> None:
    await house.simulator.hang_up(CUSTOMER, t.transferee_call_id or t.attempts[0].call_id)


async def transferer_hangs_up(house: Stepping, t: Transfer) -> None:
    await house.simulator.hang_up(CUSTOMER, t.transferer_call_id)


async def held_hangs_up(house: Stepping, t: Transfer) -> None:
    await house.simulator.hang_up(CUSTOMER, t.held_call_ids[0])


async def completes(house: Stepping, t: Transfer) -> None:
    await house.transfers.complete(viewer(), t.id)


async def cancels(house: Stepping, t: Transfer) -> None:
    await house.transfers.cancel(viewer(), t.id)


async def merges(house: Stepping, t: Transfer) -> None:
    await house.tell(house.transfers.merge(viewer(), t.id))


async def times_out(house: Stepping, t: Transfer) -> None:
    await house.pass_(31)


async def engine_restarts(house: Stepping, t: Transfer) -> None:
    await house.simulator.restart()


ANY_TIME: tuple[Act, ...] = (transferer_hangs_up, held_hangs_up, cancels, times_out, engine_restarts)
ACTS: dict[Status, tuple[Act, ...]] = {
    S.STARTING: ANY_TIME,
    S.RINGING: (*ANY_TIME, answers, other_answers, rejects, completes),
    S.CONSULTING: (*ANY_TIME, destination_hangs_up, completes, merges),
    S.MERGED: (*ANY_TIME[:3], destination_hangs_up, completes, engine_restarts),
    S.TRANSFERRING: (*ANY_TIME[1:], answers, other_answers, rejects),
    S.RECALLING: (*ANY_TIME[1:], answers, rejects),
}


async def bring_to(house: Stepping, status: Status) -> Transfer:
    """Return a transfer that has reached this status without any disturbance."""
    talk = await house.talk()
    blind = status in (S.TRANSFERRING, S.RECALLING)
    to = (tel("+15553000107"), tel("+15553010107"))
    t = await house.start(
        StartRequest(Type.BLIND if blind else Type.ATTENDED, talk.agent_call_id, to, consult_timeout=30)
    )
    if status is S.STARTING:
        return t
    await house.settle()
    if status in (S.CONSULTING, S.MERGED):
        await house.simulator.answer(CUSTOMER, t.attempts[0].call_id)
        await house.settle()
    if status is S.MERGED:
        await merges(house, t)
    if status is S.RECALLING:
        await house.pass_(31)
    await house.settle()
    t = await house.see(t.id)
    assert t.status is status
    return t


@pytest.mark.slow
@pytest.mark.parametrize("status", ACTS)
async def test_two_things_at_once(status: Status, database: Database, soak: bool) -> None:
    for number, (first, second) in enumerate(permutations(ACTS[status], 2)):
        for backwards in (False, True) if soak else (bool(number % 2),):
            async with Stepping.in_(database) as house:
                await _race(house, status, first, second, backwards)


async def _race(house: Stepping, status: Status, first: Act, second: Act, backwards: bool) -> None:
    t = await bring_to(house, status)
    for act in (first, second):
        await _try(act, house, t)
    await house.deliver(backwards=backwards)
    await house.settle()
    try:
        await house.check_at_rest()
        assert (await house.see(t.id)).status not in (S.STARTING, S.ENDING)
    except AssertionError as error:
        raise AssertionError(f"{status}: {first.__name__}, then {second.__name__}: {error}") from error


async def _try(act: Act, house: Stepping, t: Transfer) -> None:
    """Act, and assert that a command that comes too late is refused with ILLEGAL_TRANSITION."""
    with suppress(NoSuchCall, NotNow):
        try:
            await act(house, t)
        except Refusal as refusal:
            assert refusal.code is RefusalCode.ILLEGAL_TRANSITION  # noqa: PT017 - the code of the refusal matters


async def test_a_party_who_moves_between_the_bridges_of_two_transfers_is_held_by_the_other_one(
    database: Database,
) -> None:
    async with Stepping.in_(database) as house:
        talks = await house.talk("+15551000003"), await house.talk()
        (left, joined) = [
            await house.start(StartRequest(Type.ATTENDED, talk.agent_call_id, (tel("+15553000107"),))) for talk in talks
        ]
        await house.settle()
        mover = await house.call(talks[0].caller_call_id)
        moved = replace(mover, confbridge_id=talks[1].conference_id, revision=mover.revision + 1)
        await house.recovery.hear(moved)
        assert mover.id not in (await house.see(left.id)).held_call_ids
        assert mover.id in (await house.see(joined.id)).held_call_ids


async def test_a_race_that_does_not_end_is_a_fault(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    async def lost(*_: object) -> bool:
        return False

    monkeypatch.setattr("app.transfers.transfers.replace", lost)
    async with Stepping.in_(database) as house:
        t = await bring_to(house, S.STARTING)
        with pytest.raises(Stale):
            await cancels(house, t)
