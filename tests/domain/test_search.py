"""A search of all states that a transfer can reach, by any order of commands, reports, refusals and timeouts."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import pytest

from app.domain.calls import CallHangupReason, CallStatus, RingMethod
from app.domain.effects import Cause, Rules
from app.domain.life import Change, advance, allowed_commands, knows
from app.domain.orders import Order, OrderKind
from app.domain.sightings import leg_ended, refused, timed_out
from app.domain.start import StartRequest, begin
from app.domain.steps import Trigger
from app.domain.transfer import FailurePolicy, HeldParty, Status, Timer, Transfer, Type
from tests.builders import HELD, NOON, TRANSFER, TRANSFERER, call, tel, uid

S, T = Status, Trigger
RULES = Rules(recall_attempts=2)
TO = tuple(tel(f"+1555000010{n}") for n in range(3))
NEWCOMER = uid("newcomer")
ANSWERED_WHEN_CARRIED_OUT = {T.SWAP_TO_HELD, T.SWAP_TO_DESTINATION, T.MERGE}
SPOKEN, EARLIER = 99, 50
"""Normalised versions: the search only needs to know whether an order belongs to the last swap or merge."""


@dataclass(frozen=True)
class World:
    """A state of the search: the record, and the waiting orders with the versions that they follow from."""

    t: Transfer
    orders: tuple[tuple[int, Order], ...] = ()

    @property
    def key(self) -> tuple[Any, ...]:
        record = (getattr(self.t, one.name) for one in fields(self.t) if one.name != "metadata")
        return (*record, self.orders)


def normal(t: Transfer, orders: tuple[tuple[int, Order], ...]) -> World:
    marked = tuple((SPOKEN if version == t.spoken_version else EARLIER, order) for version, order in orders)
    spoken = SPOKEN if any(version == SPOKEN for version, _ in marked) else 0
    return World(replace(t, version=SPOKEN, spoken_version=spoken), marked)


def after(world: World, changes: tuple[Change, ...], without: int = 0) -> World:
    """Return the world after these changes. The first `without` waiting orders are settled, and removed."""
    t, orders = world.t, world.orders[without:]
    for change in changes:
        check_change(change)
        kept = tuple(one for one in orders if one[0] not in change.overruled)
        orders = (*kept, *((change.after.version, order) for order in change.orders))
        t = change.after
    return normal(t, orders)


def check_change(change: Change) -> None:
    before = change.before
    assert before is not None
    same = replace(before, version=change.after.version, tm_update=change.after.tm_update)
    assert change.after != same, f"an event without a change: {change.trigger} in {before.status}"


def cause(call_id: str | None = None, status: CallStatus | None = None, held: HeldParty | None = None) -> Cause:
    reason = CallHangupReason.BUSY if status is CallStatus.HANGUP else None
    return Cause(NOON, RULES, call_id, status, reason, held)


def events(world: World) -> Iterator[tuple[Trigger, Cause]]:
    """Yield the possible commands, reports and timeouts, without the results of orders."""
    t = world.t
    for command in allowed_commands(t):
        if command is not T.UPDATE and not (command in ANSWERED_WHEN_CARRIED_OUT and world.orders):
            yield command, cause()
    if t.is_live:
        yield from reports(world)
        due = timed_out(t, t.tm_deadline) if t.tm_deadline else None
        if due:
            yield due, cause()


def reports(world: World) -> Iterator[tuple[Trigger, Cause]]:
    t = world.t
    # The engine has not received these dials, so it can't report on them.
    waiting = {order.call_id for _, order in world.orders[1:] if order.kind is OrderKind.DIAL}
    for attempt in t.open_attempts:
        if attempt.call_id not in waiting:
            yield T.LEG_RANG, cause(attempt.call_id, CallStatus.RINGING)
            yield T.ANSWERED, cause(attempt.call_id, CallStatus.PROGRESSING)
            yield leg_ended(t, attempt.call_id), cause(attempt.call_id, CallStatus.HANGUP)
    if t.recall_call_id and t.recall_call_id not in waiting:
        yield T.RECALL_ANSWERED, cause(t.recall_call_id, CallStatus.PROGRESSING)
        yield T.RECALL_ENDED, cause(t.recall_call_id, CallStatus.HANGUP)
    if t.transferee_call_id:
        yield T.DESTINATION_LEFT, cause(t.transferee_call_id, CallStatus.HANGUP)
    for held in t.held_call_ids[:1]:
        yield T.LAST_HELD_LEFT if len(t.held) == 1 else T.HELD_LEFT, cause(held, CallStatus.HANGUP)
    if len(t.held) == 1 and NEWCOMER not in t.held_call_ids:
        yield T.JOINED, cause(NEWCOMER, CallStatus.PROGRESSING, HeldParty(NEWCOMER))
    yield T.TRANSFERER_LEFT, cause(TRANSFERER, CallStatus.HANGUP)
    yield T.BRIDGE_GONE, cause()


def settled(world: World) -> Iterator[World]:
    """Yield the worlds in which the first waiting order is confirmed or refused."""
    (version, order), *rest = world.orders
    last = () if rest else advance(world.t, T.CONFIRMED, cause())
    has_joined = not any((o.kind, o.call_id) == (OrderKind.JOIN, order.call_id) for _, o in world.orders)
    yield after(world, last, 1)
    for is_last_try in (False, True):
        follows = refused(world.t, order, version, is_last_try, has_joined)
        if follows:
            yield after(world, advance(world.t, follows, cause(order.call_id, CallStatus.HANGUP)), 1)
        elif is_last_try:
            yield after(world, last, 1)


def check(world: World) -> None:
    """Assert what holds in every state."""
    t = world.t
    if t.tm_deadline:
        due = timed_out(t, t.tm_deadline)
        assert due, f"{t.timer} is no timer of a transfer that is {t.status}"
        assert knows(t, due), f"{t.timer} has no row in {t.status}"
    if not t.is_live:
        assert not t.open_attempts, f"{t.status} with an open attempt"
        assert not world.orders, f"{t.status} with a waiting order"
        assert t.timer is None
    elif not world.orders and t.timer is None:
        assert t.status is S.MERGED or (t.status is S.CONSULTING and t.consult_timeout is None), f"{t.status} hangs"


def first(type_: Type, method: RingMethod, count: int, policy: FailurePolicy, consult: int | None) -> World:
    request = StartRequest(type_, TRANSFERER, TO[:count], method, 30, consult, policy)
    change = begin(
        request,
        transfer_id=TRANSFER,
        call=call(),
        others=[call(HELD)],
        previous_transfer_id=None,
        subject="agent",
        at=NOON,
        rules=RULES,
    )
    return normal(change.after, tuple((1, order) for order in change.orders))


def walk(start: World) -> None:
    """Check every state that can be reached from this one."""
    seen, ahead = {start.key}, [start]
    while ahead:
        world = ahead.pop()
        check(world)
        following = [after(world, advance(world.t, *one)) for one in events(world)]
        for one in (*following, *(settled(world) if world.orders else ())):
            if one.key not in seen:
                seen.add(one.key)
                ahead.append(one)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("consult", [None, 60])
@pytest.mark.parametrize("method", [RingMethod.RING_ALL, RingMethod.LINEAR])
def test_no_attended_transfer_hangs_and_no_event_is_without_a_change(
    method: RingMethod, consult: int | None, soak: bool
) -> None:
    for count in (1, 2, 3) if soak else (1, 2) if consult else (1,):
        walk(first(Type.ATTENDED, method, count, FailurePolicy.RETURN_TO_TRANSFERER, consult))


@pytest.mark.slow
@pytest.mark.parametrize("policy", FailurePolicy)
@pytest.mark.parametrize("method", [RingMethod.RING_ALL, RingMethod.LINEAR])
def test_no_blind_transfer_hangs_and_no_event_is_without_a_change(
    method: RingMethod, policy: FailurePolicy, soak: bool
) -> None:
    for count in (1, 2, 3) if soak else (1, 2):
        walk(first(Type.BLIND, method, count, policy, None))


def test_the_search_finds_a_timer_without_a_row() -> None:
    t = replace(first(Type.ATTENDED, RingMethod.LINEAR, 2, FailurePolicy.RELEASE, None).t, timer=Timer.CONSULT)
    with pytest.raises(AssertionError, match="no row in STARTING"):
        walk(normal(t, ()))
