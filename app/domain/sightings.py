"""Compares the known state of calls with the record of a transfer, and finds the triggers that follow.

Reports may come twice, late or in any order, and the server misses some while it is down. So a report is not a trigger.
It updates the state of its call, and triggers follow from the difference between state and record. Reports, repeated
reports and recovery after a restart all work in this one way.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from app.domain.calls import Call, CallHangupBy, CallStatus, Conference, RingMethod
from app.domain.effects import Cause, Rules, as_before
from app.domain.orders import Order, OrderKind
from app.domain.steps import Trigger
from app.domain.transfer import DialOutcome, HeldParty, Outcome, Status, Timer, Transfer


@dataclass(frozen=True, slots=True)
class Sighting:
    trigger: Trigger
    tm: datetime
    call: Call | None = None

    def cause(self, at: datetime, rules: Rules) -> Cause:
        call = self.call
        if call is None:
            return Cause(at, rules)
        held = HeldParty(call.id, call.is_on_hold, call.mute_direction)
        return Cause(at, rules, call.id, call.status, call.hangup_reason, held)


def sightings(t: Transfer, calls: Mapping[str, Call], bridge: Conference | None) -> list[Sighting]:
    """Return what has happened, in order. `calls`: the calls of the transfer, and every call in its bridge."""
    seen = [*_transferer(t, calls), *_held(t, calls), *_legs(t, calls), *_recall(t, calls), *_joined(t, calls)]
    if bridge is not None and not bridge.is_up:
        gone = bridge.tm_end or bridge.tm_update
        seen = [one for one in seen if not _swept_out(one)]
        seen.append(Sighting(Trigger.BRIDGE_GONE, gone))
    return sorted(seen, key=lambda one: one.tm)


def _swept_out(one: Sighting) -> bool:
    """Return whether the engine hung up the party together with the bridge. A party that hung up itself left before."""
    return one.call is not None and one.call.hangup_by is CallHangupBy.LOCAL


def _transferer(t: Transfer, calls: Mapping[str, Call]) -> Iterator[Sighting]:
    call = calls.get(t.transferer_call_id)
    if call and _has_left(t, call):
        yield Sighting(Trigger.TRANSFERER_LEFT, _left_at(call), call)


def _held(t: Transfer, calls: Mapping[str, Call]) -> Iterator[Sighting]:
    gone = [call for id_ in t.held_call_ids if (call := calls.get(id_)) and _has_left(t, call)]
    gone.sort(key=_left_at)
    for number, call in enumerate(gone, start=1):
        last = number == len(t.held)
        yield Sighting(Trigger.LAST_HELD_LEFT if last else Trigger.HELD_LEFT, _left_at(call), call)


def _legs(t: Transfer, calls: Mapping[str, Call]) -> Iterator[Sighting]:
    for attempt in t.attempts:
        call = calls.get(attempt.call_id)
        if call is None:
            continue
        if attempt.call_id == t.transferee_call_id:
            if not call.is_up or (call.confbridge_id or t.confbridge_id) != t.confbridge_id:
                yield Sighting(Trigger.DESTINATION_LEFT, _left_at(call), call)
        elif attempt.is_open:
            yield from _ringing_leg(t, call)


def _ringing_leg(t: Transfer, call: Call) -> Iterator[Sighting]:
    if call.status is CallStatus.PROGRESSING or call.tm_progressing:  # it may have ended since
        answered = replace(call, status=CallStatus.PROGRESSING, hangup_reason=None)
        yield Sighting(Trigger.ANSWERED, call.tm_progressing or call.tm_update, answered)
    elif not call.is_up:
        yield Sighting(leg_ended(t, call.id), _left_at(call), call)
    elif call.status is CallStatus.RINGING and not _rang(t, call):
        yield Sighting(Trigger.LEG_RANG, call.tm_ringing or call.tm_update, call)


def leg_ended(t: Transfer, call_id: str | None) -> Trigger:
    """Return LEG_ENDED while other legs ring or are still to be dialled, and else LEGS_ENDED."""
    others = [attempt for attempt in t.open_attempts if attempt.call_id != call_id]
    to_dial = t.undialled if t.ring_method is RingMethod.LINEAR else ()
    return Trigger.LEG_ENDED if others or to_dial else Trigger.LEGS_ENDED


def _rang(t: Transfer, call: Call) -> bool:
    return any(a.call_id == call.id and a.outcome is DialOutcome.RINGING for a in t.attempts)


def _recall(t: Transfer, calls: Mapping[str, Call]) -> Iterator[Sighting]:
    call = calls.get(t.recall_call_id or "")
    if call and not call.is_up:
        yield Sighting(Trigger.RECALL_ENDED, _left_at(call), call)
    elif call and call.status is CallStatus.PROGRESSING:
        yield Sighting(Trigger.RECALL_ANSWERED, call.tm_progressing or call.tm_update, call)


def _joined(t: Transfer, calls: Mapping[str, Call]) -> Iterator[Sighting]:
    parties = set(t.party_ids)
    for call in calls.values():
        if call.id not in parties and call.is_up and call.confbridge_id == t.confbridge_id:
            yield Sighting(Trigger.JOINED, call.tm_update, call)


def _has_left(t: Transfer, call: Call) -> bool:
    return not call.is_up or call.confbridge_id != t.confbridge_id


def _left_at(call: Call) -> datetime:
    return call.tm_hangup or call.tm_update


def strays(t: Transfer, calls: Mapping[str, Call]) -> list[str]:
    """Return the legs that are up outside the bridge and that the transfer no longer waits for.

    The engine may carry out a dial long after the transfer has given it up. A leg that the transfer has connected is
    an ordinary call afterwards: it may leave the bridge, and stay up.
    """
    wanted = {t.recall_call_id, *(a.call_id for a in t.open_attempts)}
    if t.is_live or t.outcome in (Outcome.COMPLETED, Outcome.ABANDONED):
        wanted.add(t.transferee_call_id)
    legs = (calls[id_] for id_ in t.leg_ids if id_ in calls and id_ not in wanted)
    return [leg.id for leg in legs if leg.is_up and leg.confbridge_id is None]


def refused(t: Transfer, order: Order, version: int, is_last_try: bool, has_joined: bool) -> Trigger | None:
    """Return the trigger that follows when the engine refuses an order. None: the order is tried again or given up.

    `version`: the version of the record that gave the order. `has_joined`: no order to join the bridge waits.
    """
    if t.status is Status.STARTING:
        return Trigger.REFUSED
    if version == t.spoken_version and t.status in SPEAKING and t.speaking_to is not as_before(t):
        return Trigger.SPEAKING_REFUSED
    if order.kind is OrderKind.JOIN and t.counts_on(order.call_id):
        return Trigger.JOIN_REFUSED if is_last_try else None
    if order.kind in (OrderKind.HOLD, OrderKind.JOIN) and order.call_id == t.transferee_call_id and t.outcome is None:
        return None if has_joined else Trigger.DESTINATION_LEFT
    if order.kind is OrderKind.DIAL and order.call_id == t.recall_call_id:
        return Trigger.RECALL_ENDED
    if order.kind is OrderKind.DIAL and any(a.call_id == order.call_id for a in t.open_attempts):
        return leg_ended(t, order.call_id)
    return None


SPEAKING = (Status.RINGING, Status.CONSULTING, Status.MERGED)
"""The statuses in which the transferer chooses whom to speak with."""

TIMEOUTS = {
    Timer.START: Trigger.START_TIMEOUT,
    Timer.RING: Trigger.RING_TIMEOUT,
    Timer.CONSULT: Trigger.CONSULT_TIMEOUT,
    Timer.RECALL: Trigger.RECALL_TIMEOUT,
    Timer.RECALL_PAUSE: Trigger.RECALL_PAUSE_OVER,
}


def timed_out(t: Transfer, deadline: datetime) -> Trigger | None:
    """Return the trigger of the timer that ends at this deadline. None: that timer does not run any more.

    In a linear hunt each destination has its own ringing time.
    """
    if t.timer is None or t.tm_deadline != deadline:
        return None
    if t.timer is Timer.RING and t.ring_method is RingMethod.LINEAR and t.undialled:
        return Trigger.LEG_TIMEOUT
    return TIMEOUTS[t.timer]
