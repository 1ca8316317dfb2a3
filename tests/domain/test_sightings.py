"""Triggers that follow from the engine's state: refused orders, and legs that no transfer waits for."""

import pytest

from app.domain.calls import CallStatus
from app.domain.effects import Rules
from app.domain.life import advance
from app.domain.orders import Order, OrderKind
from app.domain.sightings import refused, sightings, strays
from app.domain.steps import Trigger
from app.domain.transfer import Disposition, Outcome, SpeakingTo, Status, Transfer
from tests.builders import BRIDGE, HELD, LEG, NOON, OTHER_LEG, RECALL_LEG, bridge, ended, leg, transfer

S, T, K = Status, Trigger, OrderKind
JOINING = Order(K.JOIN, LEG, BRIDGE)


@pytest.mark.parametrize(
    ("t", "order", "follows"),
    [
        (transfer(S.STARTING), Order(K.HOLD, HELD), T.REFUSED),
        (transfer(S.CONSULTING), JOINING, T.DESTINATION_LEFT),
        (transfer(S.CONSULTING, speaking_to=SpeakingTo.HELD), Order(K.HOLD, LEG), T.DESTINATION_LEFT),
        (transfer(S.CONSULTING), Order(K.HANG_UP, OTHER_LEG), None),
        (transfer(S.RECALLING), Order(K.DIAL, RECALL_LEG), T.RECALL_ENDED),
        (transfer(S.RINGING), Order(K.DIAL, LEG), T.LEG_ENDED),
    ],
)
def test_what_follows_from_a_refused_order(t: Transfer, order: Order, follows: Trigger | None) -> None:
    assert refused(t, order, version=t.version, is_last_try=False, has_joined=False) is follows


@pytest.mark.parametrize(
    ("t", "joining"),
    [
        (transfer(S.ENDING, outcome=Outcome.COMPLETED, transferee_call_id=LEG), LEG),
        (
            transfer(S.ENDING, outcome=Outcome.FAILED, disposition=Disposition.RECALLED, recall_call_id=RECALL_LEG),
            RECALL_LEG,
        ),
    ],
)
def test_an_outcome_that_needs_a_party_in_the_bridge_waits_for_every_try(t: Transfer, joining: str) -> None:
    order = Order(K.JOIN, joining, BRIDGE)
    assert refused(t, order, version=t.version, is_last_try=False, has_joined=False) is None
    assert refused(t, order, version=t.version, is_last_try=True, has_joined=False) is T.JOIN_REFUSED


def test_a_cancelled_consultation_does_not_need_its_destination() -> None:
    t = transfer(S.ENDING, outcome=Outcome.CANCELLED, transferee_call_id=LEG)
    assert refused(t, JOINING, version=t.version, is_last_try=True, has_joined=False) is None


@pytest.mark.parametrize("status", [S.STARTING, S.RINGING])
def test_a_leg_that_had_answered_before_it_ended_has_answered(status: Status) -> None:
    """When the process is busy, both reports arrive as one."""
    t = transfer(status)
    gone = ended(leg(LEG, CallStatus.PROGRESSING, tm_progressing=NOON))
    (answer,) = sightings(t, {LEG: gone}, bridge())
    assert answer.trigger is T.ANSWERED
    after = advance(t, answer.trigger, answer.cause(NOON, Rules()))[-1].after
    assert (after.status, after.transferee_call_id) == (S.CONSULTING, LEG)
    assert [one.trigger for one in sightings(after, {LEG: gone}, bridge())] == [T.DESTINATION_LEFT]


def test_a_leg_that_a_late_dial_lets_ring_is_astray() -> None:
    assert strays(transfer(S.CANCELLED), {LEG: leg(LEG)}) == [LEG]
    assert strays(transfer(S.CONSULTING), {OTHER_LEG: leg(OTHER_LEG)}) == [OTHER_LEG]
    assert strays(transfer(S.FAILED, recall_attempts=1), {RECALL_LEG: leg(RECALL_LEG)}) == [RECALL_LEG]


def test_a_leg_that_is_waited_for_in_the_bridge_or_gone_is_not_astray() -> None:
    assert strays(transfer(S.RINGING), {LEG: leg(LEG)}) == []
    assert strays(transfer(S.CONSULTING), {LEG: leg(LEG, CallStatus.PROGRESSING)}) == []
    assert strays(transfer(S.CANCELLED), {LEG: ended(leg(LEG))}) == []


@pytest.mark.parametrize("t", [transfer(S.COMPLETED), transfer(S.ABANDONED, transferee_call_id=LEG)])
def test_a_destination_that_was_connected_may_leave_the_bridge_when_the_transfer_has_ended(t: Transfer) -> None:
    assert strays(t, {LEG: leg(LEG, CallStatus.PROGRESSING)}) == []


def test_a_destination_that_is_in_the_bridge_is_not_lost_by_a_hold_that_is_refused() -> None:
    order = Order(K.HOLD, LEG)
    assert refused(transfer(S.CONSULTING), order, version=3, is_last_try=True, has_joined=True) is None
