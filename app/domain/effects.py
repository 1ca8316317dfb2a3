"""Effects: the parts of a step. An effect returns the changed transfer and the orders that the change needs."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from app.domain.calls import CallHangupReason, CallStatus, RingMethod
from app.domain.orders import Order, OrderKind
from app.domain.transfer import (
    Attempt,
    DialOutcome,
    HeldParty,
    Party,
    Reason,
    SpeakingTo,
    Status,
    Timer,
    Transfer,
    derived_id,
)


@dataclass(frozen=True, slots=True)
class Rules:
    """Limits that the operator sets: two times in seconds, and the most recalls of one transfer."""

    start_timeout: float = 10
    recall_pause: float = 10
    recall_attempts: int = 3


@dataclass(frozen=True, slots=True)
class Cause:
    """The details of a trigger: when it happened, and the call or the command that caused it."""

    at: datetime
    rules: Rules = Rules()
    call_id: str | None = None
    call_status: CallStatus | None = None
    hangup_reason: CallHangupReason | None = None
    held: HeldParty | None = None
    subject: str | None = None
    """The subject of the token that sent the command. None for reports and timers."""
    edits: Mapping[str, Any] = field(default_factory=dict)
    """The new note and metadata, for an update."""
    is_refused: bool = False
    """The engine refused an order about the call. A refused dial may have been carried out before, unconfirmed."""


Orders = tuple[Order, ...]
NO_ORDERS: Orders = ()
Effect = Callable[[Transfer, Cause], tuple[Transfer, Orders]]

FAILURES = {
    CallHangupReason.BUSY: DialOutcome.BUSY,
    CallHangupReason.DECLINED: DialOutcome.DECLINED,
    CallHangupReason.FAILED: DialOutcome.UNREACHABLE,
    CallHangupReason.DIALOUT: DialOutcome.UNREACHABLE,
    CallHangupReason.UNKNOWN: DialOutcome.UNREACHABLE,
}
"""The outcome of a dial attempt by the hangup reason of its leg. Any other reason counts as NO_ANSWER."""

REASONS = {
    DialOutcome.BUSY: Reason.BUSY,
    DialOutcome.DECLINED: Reason.DECLINED,
    DialOutcome.NO_ANSWER: Reason.NO_ANSWER,
    DialOutcome.UNREACHABLE: Reason.UNREACHABLE,
    DialOutcome.TIMEOUT: Reason.TIMEOUT,
}
"""The reason of a failed transfer by the outcome of its dials. Of several outcomes of a ring-all, the first counts."""


def legs_reason(t: Transfer) -> Reason:
    if t.ring_method is RingMethod.LINEAR:
        return REASONS.get(t.attempts[-1].outcome, Reason.NO_ANSWER)
    had = {attempt.outcome for attempt in t.attempts}
    return next((reason for outcome, reason in REASONS.items() if outcome in had), Reason.NO_ANSWER)


# --- the bridge


def keep_alive(t: Transfer, cause: Cause) -> tuple[Transfer, Orders]:
    return t, (Order(OrderKind.KEEP_ALIVE, confbridge_id=t.confbridge_id),)


def clear_keep_alive(t: Transfer, cause: Cause) -> tuple[Transfer, Orders]:
    return t, (Order(OrderKind.CLEAR_KEEP_ALIVE, confbridge_id=t.confbridge_id),)


def release_bridge(t: Transfer, cause: Cause) -> tuple[Transfer, Orders]:
    """Order a release. The engine decides whether a party is alone, because another party can leave before then."""
    return t, (Order(OrderKind.RELEASE, confbridge_id=t.confbridge_id),)


# --- the held parties


def hold_held(t: Transfer, cause: Cause) -> tuple[Transfer, Orders]:
    return t, _each(OrderKind.HOLD, t.held_call_ids)


def restore_held(t: Transfer, cause: Cause) -> tuple[Transfer, Orders]:
    return t, tuple(_restored(party) for party in t.held)


def ringback_held(t: Transfer, cause: Cause) -> tuple[Transfer, Orders]:
    return t, _each(OrderKind.RINGBACK, t.held_call_ids)


def forget_held(t: Transfer, cause: Cause) -> tuple[Transfer, Orders]:
    return replace(t, held=tuple(party for party in t.held if party.call_id != cause.call_id)), ()


def take_in(t: Transfer, cause: Cause) -> tuple[Transfer, Orders]:
    """Make the call that joined the bridge a held party."""
    assert cause.held is not None
    return replace(t, held=(*t.held, cause.held)), ()


def hold_newcomer(t: Transfer, cause: Cause) -> tuple[Transfer, Orders]:
    together = t.speaking_to in (SpeakingTo.HELD, SpeakingTo.ALL)
    return t, () if together else _each(OrderKind.HOLD, _newcomer(cause))


def open_newcomer(t: Transfer, cause: Cause) -> tuple[Transfer, Orders]:
    return t, _each(OrderKind.OPEN, _newcomer(cause))


def ringback_newcomer(t: Transfer, cause: Cause) -> tuple[Transfer, Orders]:
    return t, _each(OrderKind.RINGBACK, _newcomer(cause))


# --- the transferer


def transferer_out(t: Transfer, cause: Cause) -> tuple[Transfer, Orders]:
    return replace(t, speaking_to=SpeakingTo.NONE), (Order(OrderKind.HANG_UP, call_id=t.transferer_call_id),)


def back_with_held(t: Transfer, cause: Cause) -> tuple[Transfer, Orders]:
    return replace(t, speaking_to=SpeakingTo.HELD), ()


def with_destination(t: Transfer, cause: Cause) -> tuple[Transfer, Orders]:
    return replace(t, speaking_to=SpeakingTo.DESTINATION), ()


def with_nobody(t: Transfer, cause: Cause) -> tuple[Transfer, Orders]:
    return replace(t, speaking_to=SpeakingTo.NONE), ()


def recall(t: Transfer, cause: Cause) -> tuple[Transfer, Orders]:
    number = t.recall_attempts + 1
    leg = derived_id(t.id, "recall", number)
    order = Order(OrderKind.DIAL, call_id=leg, source=t.transferee_addresses[0], destination=t.transferer_address)
    return replace(t, recall_attempts=number, recall_call_id=leg, timer=None, tm_deadline=None), (order,)


def end_recall(t: Transfer, cause: Cause) -> tuple[Transfer, Orders]:
    legs = (t.recall_call_id,) if t.recall_call_id else ()
    return replace(t, recall_call_id=None), _each(OrderKind.HANG_UP, legs)


def join_transferer(t: Transfer, cause: Cause) -> tuple[Transfer, Orders]:
    joined = replace(t, speaking_to=SpeakingTo.HELD)
    return joined, (Order(OrderKind.JOIN, call_id=t.recall_call_id, confbridge_id=t.confbridge_id),)


def end_refused(t: Transfer, cause: Cause) -> tuple[Transfer, Orders]:
    """End the leg that can't join the bridge. An accepted answer stays on the record; a recall leg does not."""
    recall_call_id = None if cause.call_id == t.recall_call_id else t.recall_call_id
    return replace(t, recall_call_id=recall_call_id), (Order(OrderKind.HANG_UP, call_id=cause.call_id),)


# --- the destination


def dial(t: Transfer, cause: Cause) -> tuple[Transfer, Orders]:
    """Dial all destinations, or only the next destination when the ring method is linear."""
    count = 1 if t.ring_method is RingMethod.LINEAR else len(t.undialled)
    for address in t.undialled[:count]:
        leg = derived_id(t.id, "leg", len(t.attempts))
        t = replace(t, attempts=(*t.attempts, Attempt(address, leg, cause.at)))
    return t, tuple(_dial(t, attempt) for attempt in t.attempts[-count:])


def hunt(t: Transfer, cause: Cause) -> tuple[Transfer, Orders]:
    """Dial the next destination of a linear hunt, once the last one has ended. Each has a ring timer of its own."""
    if t.ring_method is not RingMethod.LINEAR or t.open_attempts or not t.undialled:
        return t, ()
    dialled, orders = dial(t, cause)
    return _stop(dialled, Timer.RING), orders


def record_leg(t: Transfer, cause: Cause) -> tuple[Transfer, Orders]:
    if cause.call_id not in _ids(t.attempts):
        return t, ()
    if cause.call_status is CallStatus.RINGING:
        return _settle(replace(t, tm_ringing=t.tm_ringing or cause.at), (cause.call_id,), DialOutcome.RINGING, None), ()
    if cause.call_status is CallStatus.HANGUP:
        outcome = FAILURES.get(cause.hangup_reason or CallHangupReason.UNKNOWN, DialOutcome.NO_ANSWER)
        hang_up = _each(OrderKind.HANG_UP, (cause.call_id,)) if cause.is_refused else ()
        return _settle(t, (cause.call_id,), outcome, cause.at, cause.hangup_reason), hang_up
    return t, ()


def end_legs(outcome: DialOutcome = DialOutcome.CANCELLED) -> Effect:
    """End every destination leg, alerting or answered, and settle the open attempts in the same change."""

    def end(t: Transfer, cause: Cause) -> tuple[Transfer, Orders]:
        legs = [a.call_id for a in t.attempts if a.is_open or a.call_id == t.transferee_call_id]
        return _settle(t, _ids(t.open_attempts), outcome, cause.at), _each(OrderKind.HANG_UP, legs)

    return end


def accept(t: Transfer, cause: Cause) -> tuple[Transfer, Orders]:
    """Accept the first answer as the destination, and end the other legs."""
    answered = _settle(t, (cause.call_id,), DialOutcome.ANSWERED, cause.at)
    others = _ids(answered.open_attempts)
    accepted = replace(
        _settle(answered, others, DialOutcome.ANSWERED_ELSEWHERE, cause.at),
        transferee_call_id=cause.call_id,
        tm_ringing=t.tm_ringing or cause.at,
        tm_answer=cause.at,
    )
    return accepted, _each(OrderKind.HANG_UP, others)


def consult(t: Transfer, cause: Cause) -> tuple[Transfer, Orders]:
    """Let the destination join: private with the transferer, or on hold while they speak with the held party."""
    hold = _each(OrderKind.HOLD, _destination(t)) if t.speaking_to is SpeakingTo.HELD else ()
    side = SpeakingTo.HELD if hold else SpeakingTo.DESTINATION
    joined, join = join_destination(replace(t, speaking_to=side), cause)
    return joined, (*hold, *join)


def join_destination(t: Transfer, cause: Cause) -> tuple[Transfer, Orders]:
    return t, (Order(OrderKind.JOIN, call_id=t.transferee_call_id, confbridge_id=t.confbridge_id),)


def restore_destination(t: Transfer, cause: Cause) -> tuple[Transfer, Orders]:
    return t, _each(OrderKind.RESTORE, _destination(t))


# --- swap and merge


def speak(side: SpeakingTo) -> Effect:
    """Let the transferer speak to this side. A side that must wait is put on hold before the other side is let in."""

    def arrange(t: Transfer, cause: Cause) -> tuple[Transfer, Orders]:
        turned = replace(t, speaking_to=side, spoke_to=t.speaking_to, spoken_version=t.version + 1)
        return turned, _arranged(turned)

    return arrange


def speak_as_before(t: Transfer, cause: Cause) -> tuple[Transfer, Orders]:
    turned = replace(t, speaking_to=as_before(t))
    return turned, _arranged(turned)


def as_before(t: Transfer) -> SpeakingTo:
    """Return `speaking_to` before the last swap or merge. NONE becomes DESTINATION, once that has answered."""
    nobody = t.spoke_to is SpeakingTo.NONE
    return SpeakingTo.DESTINATION if nobody and _destination(t) else t.spoke_to


def _arranged(t: Transfer) -> Orders:
    held, destination = t.held_call_ids, _destination(t)
    if t.speaking_to is SpeakingTo.ALL:
        return _each(OrderKind.OPEN, (*held, *destination))
    if t.speaking_to is SpeakingTo.HELD:
        return (*_each(OrderKind.HOLD, destination), *(_restored(party) for party in t.held))
    return (*_each(OrderKind.HOLD, held), *_each(OrderKind.RESTORE, destination))


# --- timers


def start_timer(t: Transfer, cause: Cause) -> tuple[Transfer, Orders]:
    return _run(t, Timer.START, cause.at, cause.rules.start_timeout), ()


def ring_timer(t: Transfer, cause: Cause) -> tuple[Transfer, Orders]:
    """Start the ring timer, unless it already runs."""
    return t if t.timer is Timer.RING else _run(t, Timer.RING, cause.at, t.ring_timeout), ()


def recall_timer(t: Transfer, cause: Cause) -> tuple[Transfer, Orders]:
    """Start the timer of a recall that has been dialled. It does not run in the pause between two recalls."""
    return _run(t, Timer.RECALL, cause.at, t.ring_timeout) if t.recall_call_id and not t.timer else t, ()


def no_start_timer(t: Transfer, cause: Cause) -> tuple[Transfer, Orders]:
    """Stop the start timer before the dial is confirmed: the confirmation starts the ring timer."""
    return _stop(t, Timer.START), ()


def consult_timer(t: Transfer, cause: Cause) -> tuple[Transfer, Orders]:
    """Start the consultation timer, counted from the answer, so that a refused merge restores the earlier deadline."""
    if t.consult_timeout is None or t.tm_answer is None:
        return no_timer(t, cause)
    return _run(t, Timer.CONSULT, t.tm_answer, t.consult_timeout), ()


def pause_timer(t: Transfer, cause: Cause) -> tuple[Transfer, Orders]:
    return _run(t, Timer.RECALL_PAUSE, cause.at, cause.rules.recall_pause), ()


def no_timer(t: Transfer, cause: Cause) -> tuple[Transfer, Orders]:
    return replace(t, timer=None, tm_deadline=None), ()


# --- the record alone


def keep(reason: Reason | Callable[[Transfer], Reason], by: Party) -> Effect:
    """Store why the destination was not reached, and who caused it. A recalled transfer ends with this reason."""

    def remember(t: Transfer, cause: Cause) -> tuple[Transfer, Orders]:
        return replace(t, outcome_reason=reason(t) if callable(reason) else reason, ended_by=by), ()

    return remember


def conclude(t: Transfer, cause: Cause) -> tuple[Transfer, Orders]:
    """Move to the terminal status. Only called when the engine has confirmed every order of the transfer."""
    assert t.outcome is not None
    return replace(t, status=Status(t.outcome), tm_end=cause.at), ()


def edit(t: Transfer, cause: Cause) -> tuple[Transfer, Orders]:
    return replace(t, **cause.edits), ()


def delete(t: Transfer, cause: Cause) -> tuple[Transfer, Orders]:
    return replace(t, tm_delete=cause.at), ()


def _run(t: Transfer, timer: Timer, at: datetime, seconds: float) -> Transfer:
    return replace(t, timer=timer, tm_deadline=at + timedelta(seconds=seconds))


def _stop(t: Transfer, timer: Timer) -> Transfer:
    return replace(t, timer=None, tm_deadline=None) if t.timer is timer else t


def _each(kind: OrderKind, call_ids: Iterable[str]) -> Orders:
    return tuple(Order(kind, call_id=call_id) for call_id in call_ids)


def _restored(party: HeldParty) -> Order:
    return Order(
        OrderKind.RESTORE,
        call_id=party.call_id,
        is_on_hold=party.is_on_hold,
        mute_direction=party.mute_direction,
    )


def _dial(t: Transfer, attempt: Attempt) -> Order:
    return Order(
        OrderKind.DIAL,
        call_id=attempt.call_id,
        groupcall_id=t.groupcall_id,
        source=t.transferer_address,
        destination=attempt.address,
    )


def _destination(t: Transfer) -> tuple[str, ...]:
    return (t.transferee_call_id,) if t.transferee_call_id else ()


def _newcomer(cause: Cause) -> tuple[str, ...]:
    return (cause.held.call_id,) if cause.held else ()


def _ids(attempts: Iterable[Attempt]) -> tuple[str, ...]:
    return tuple(attempt.call_id for attempt in attempts)


def _settle(
    t: Transfer,
    call_ids: Iterable[str | None],
    outcome: DialOutcome,
    at: datetime | None,
    reason: CallHangupReason | None = None,
) -> Transfer:
    chosen = set(call_ids)
    return replace(
        t,
        attempts=tuple(
            replace(a, outcome=outcome, tm_end=at, hangup_reason=reason) if a.call_id in chosen and a.is_open else a
            for a in t.attempts
        ),
    )
