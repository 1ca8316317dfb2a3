"""The life of a transfer: one table, (status, trigger) to the next status and the orders.

A blind and an attended transfer share the rows of `SHARED` and differ in the two tables after it. What is not in the
table is a refusal (a command) or nothing at all (a report, a timer). Effects stand in the order in which the engine
carries their orders out. The engine's reports may overtake its confirmations: `First` ends STARTING before the
trigger's own row is taken. Nothing that happens in ENDING changes the outcome: it waits until every order is confirmed,
and only then does the outcome become the status.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from app.domain import effects as do
from app.domain.effects import NO_ORDERS, Cause, Effect, Orders
from app.domain.refusals import Refusal, RefusalCode
from app.domain.steps import COMMANDS, Ending, First, Fork, Row, Step, Trigger, end, go, stay
from app.domain.transfer import (
    LIVE,
    TERMINAL,
    DialOutcome,
    Disposition,
    FailurePolicy,
    Outcome,
    Party,
    Reason,
    SpeakingTo,
    Status,
    Transfer,
    Type,
)

T = Trigger
STARTING, RINGING, CONSULTING, MERGED, TRANSFERRING, RECALLING, ENDING = LIVE
COMPLETED, CANCELLED, FAILED, ABANDONED = Outcome
RETURNED, RECALLED, RELEASED = Disposition
TRANSFERER, HELD, DESTINATION, CLIENT, SYSTEM = Party
BEFORE_ENDING = tuple(status for status in LIVE if status is not ENDING)
HUNTING = (STARTING, RINGING, TRANSFERRING)

end_legs = do.end_legs(DialOutcome.CANCELLED)
end_silent_legs = do.end_legs(DialOutcome.TIMEOUT)
swap_to_held = do.speak(SpeakingTo.HELD)
swap_to_destination = do.speak(SpeakingTo.DESTINATION)
merge = do.speak(SpeakingTo.ALL)


def returning(t: Transfer, cause: Cause) -> bool:
    return t.on_failure is FailurePolicy.RETURN_TO_TRANSFERER


def recalls_left(t: Transfer, cause: Cause) -> bool:
    return t.recall_attempts < cause.rules.recall_attempts


def kept(t: Transfer) -> Reason | None:
    return t.outcome_reason


def kept_party(t: Transfer) -> Party:
    return t.ended_by or SYSTEM


def in_(statuses: Iterable[Status], trigger: Trigger, row: Row) -> dict[tuple[Status, Trigger], Row]:
    return {(status, trigger): row for status in statuses}


RETURN: tuple[Effect, ...] = (do.restore_held, do.back_with_held)
RELEASE: tuple[Effect, ...] = (do.with_nobody, do.restore_held)
PLAIN = (do.back_with_held,)

ring = go(2, RINGING, do.ring_timer)
leave = go(3, TRANSFERRING, do.record_leg, do.ringback_held, do.transferer_out, do.ring_timer)
# A transferer who leaves while it starts, perhaps before the dial is confirmed: ringing time counts from there.
ring_undialled = go(2, RINGING, do.no_start_timer)
leave_undialled = go(3, TRANSFERRING, do.ringback_held, do.transferer_out, do.no_start_timer)
leave_ringing = go(10, TRANSFERRING, do.restore_held, do.ringback_held, do.transferer_out)
engine_error = end(4, FAILED, Reason.ENGINE_ERROR, RETURNED, SYSTEM, end_legs, *RETURN)
recall_again = Fork(
    recalls_left,
    stay(22, do.end_recall, do.pause_timer),
    end(22, FAILED, kept, RELEASED, kept_party, do.end_recall, *RELEASE),
)

# fmt: off
SHARED: Mapping[tuple[Status, Trigger], Row] = {
    (STARTING, T.REFUSED): engine_error,
    (STARTING, T.START_TIMEOUT): engine_error,
    (TRANSFERRING, T.ANSWERED): end(
        19, COMPLETED, None, None, DESTINATION, do.accept, do.restore_held, do.join_destination),
    (TRANSFERRING, T.LEGS_ENDED): Fork(
        returning,
        go(20, RECALLING, do.record_leg, do.keep(do.legs_reason, DESTINATION), do.recall),
        end(20, FAILED, do.legs_reason, RELEASED, DESTINATION, do.record_leg, *RELEASE)),
    (TRANSFERRING, T.RING_TIMEOUT): Fork(
        returning,
        go(20, RECALLING, end_silent_legs, do.keep(Reason.TIMEOUT, SYSTEM), do.recall),
        end(20, FAILED, Reason.TIMEOUT, RELEASED, SYSTEM, end_silent_legs, *RELEASE)),
    (TRANSFERRING, T.CANCEL): go(20, RECALLING, end_legs, do.keep(Reason.COMMAND, CLIENT), do.recall),
    (RECALLING, T.RECALL_ANSWERED): end(21, FAILED, kept, RECALLED, kept_party, do.restore_held, do.join_transferer),
    (RECALLING, T.RECALL_ENDED): recall_again,
    (RECALLING, T.RECALL_TIMEOUT): recall_again,
    (RECALLING, T.RECALL_PAUSE_OVER): stay(22, do.recall),
    (RECALLING, T.CONFIRMED): stay(22, do.recall_timer),
    **in_((STARTING, RINGING, TRANSFERRING, RECALLING), T.LAST_HELD_LEFT, end(
        11, ABANDONED, Reason.HELD_HANGUP, None, HELD, end_legs, do.end_recall, do.with_nobody)),
    **in_((RINGING, TRANSFERRING), T.CONFIRMED, stay(23, do.ring_timer)),
    **in_(HUNTING, T.LEG_RANG, stay(23, do.record_leg)),
    **in_(HUNTING, T.LEG_ENDED, stay(23, do.record_leg, do.hunt)),
    **in_(HUNTING, T.LEG_TIMEOUT, stay(23, end_silent_legs, do.hunt)),
    **in_(BEFORE_ENDING, T.HELD_LEFT, stay(24, do.forget_held)),
    **in_(BEFORE_ENDING, T.BRIDGE_GONE, end(
        26, FAILED, Reason.BRIDGE_LOST, RELEASED, SYSTEM,
        end_legs, do.end_recall, do.restore_held, do.with_nobody)),
    **in_((TRANSFERRING, RECALLING), T.JOINED, stay(25, do.take_in, do.ringback_newcomer)),
    (ENDING, T.JOIN_REFUSED): end(
        28, FAILED, Reason.ENGINE_ERROR, RELEASED, SYSTEM, do.end_refused, do.transferer_out, *RELEASE),
    (ENDING, T.CONFIRMED): stay(27, do.conclude),
    **in_(LIVE, T.UPDATE, stay(29, do.edit)),
    **in_(TERMINAL, T.DELETE, stay(30, do.delete)),
}

BLIND: Mapping[tuple[Status, Trigger], Row] = {
    **SHARED,
    (STARTING, T.CONFIRMED): stay(2, do.ring_timer),
    (STARTING, T.LEG_RANG): leave,
    (STARTING, T.ANSWERED): First(leave),
    (STARTING, T.TRANSFERER_LEFT): First(leave_undialled),
    (STARTING, T.LEGS_ENDED): end(5, FAILED, do.legs_reason, RETURNED, DESTINATION, do.record_leg, *PLAIN),
    (STARTING, T.RING_TIMEOUT): end(5, FAILED, Reason.TIMEOUT, RETURNED, SYSTEM, end_silent_legs, *PLAIN),
    (STARTING, T.CANCEL): end(5, CANCELLED, Reason.COMMAND, None, CLIENT, end_legs, *PLAIN),
    (STARTING, T.JOINED): stay(25, do.take_in),
}

ATTENDED: Mapping[tuple[Status, Trigger], Row] = {
    **SHARED,
    (STARTING, T.CONFIRMED): ring,
    **{(STARTING, trigger): First(ring) for trigger in (T.ANSWERED, T.LEGS_ENDED, T.CANCEL)},
    (STARTING, T.TRANSFERER_LEFT): First(ring_undialled),
    (RINGING, T.ANSWERED): go(7, CONSULTING, do.accept, do.consult, do.consult_timer),
    (RINGING, T.LEGS_ENDED): end(8, FAILED, do.legs_reason, RETURNED, DESTINATION, do.record_leg, *RETURN),
    (RINGING, T.RING_TIMEOUT): end(8, FAILED, Reason.TIMEOUT, RETURNED, SYSTEM, end_silent_legs, *RETURN),
    (RINGING, T.CANCEL): end(9, CANCELLED, Reason.COMMAND, None, CLIENT, end_legs, *RETURN),
    (RINGING, T.COMPLETE): leave_ringing,
    (RINGING, T.TRANSFERER_LEFT): leave_ringing,
    **in_((RINGING, CONSULTING), T.SWAP_TO_HELD, stay(12, swap_to_held)),
    **in_((RINGING, CONSULTING), T.SWAP_TO_DESTINATION, stay(12, swap_to_destination)),
    **in_((RINGING, CONSULTING), T.SPEAKING_REFUSED, stay(12, do.speak_as_before)),
    **{(CONSULTING, trigger): end(
        13, COMPLETED, None, None, by, do.restore_held, do.restore_destination, do.transferer_out)
        for trigger, by in ((T.COMPLETE, CLIENT), (T.TRANSFERER_LEFT, TRANSFERER))},
    (CONSULTING, T.CANCEL): end(14, CANCELLED, Reason.COMMAND, None, CLIENT, end_legs, *RETURN),
    (CONSULTING, T.DESTINATION_LEFT): end(
        14, FAILED, Reason.DESTINATION_HANGUP, RETURNED, DESTINATION, end_legs, *RETURN),
    (CONSULTING, T.CONSULT_TIMEOUT): end(14, FAILED, Reason.CONSULT_TIMEOUT, RETURNED, SYSTEM, end_legs, *RETURN),
    **in_((CONSULTING, MERGED), T.LAST_HELD_LEFT, end(
        15, ABANDONED, Reason.HELD_HANGUP, None, HELD, do.restore_destination, do.with_destination)),
    (CONSULTING, T.MERGE): go(16, MERGED, merge, do.no_timer),
    (MERGED, T.SPEAKING_REFUSED): go(16, CONSULTING, do.speak_as_before, do.consult_timer),
    **{(MERGED, trigger): end(
        17, COMPLETED, None, None, by, do.restore_held, do.restore_destination, do.transferer_out)
        for trigger, by in ((T.COMPLETE, CLIENT), (T.TRANSFERER_LEFT, TRANSFERER))},
    (MERGED, T.CANCEL): end(18, CANCELLED, Reason.COMMAND, None, CLIENT, end_legs, *RETURN),
    (MERGED, T.DESTINATION_LEFT): end(18, FAILED, Reason.DESTINATION_HANGUP, RETURNED, DESTINATION, end_legs, *RETURN),
    **in_((STARTING, RINGING, CONSULTING), T.JOINED, stay(25, do.take_in, do.hold_newcomer)),
    (MERGED, T.JOINED): stay(25, do.take_in, do.open_newcomer),
}
# fmt: on

LIFE: Mapping[Type, Mapping[tuple[Status, Trigger], Row]] = {Type.ATTENDED: ATTENDED, Type.BLIND: BLIND}

SIDE_WANTED = {
    T.SWAP_TO_HELD: SpeakingTo.HELD,
    T.SWAP_TO_DESTINATION: SpeakingTo.DESTINATION,
}
DONE_WHEN = {T.COMPLETE: COMPLETED, T.CANCEL: CANCELLED}


@dataclass(frozen=True, slots=True)
class Change:
    """One version of the record, what the engine is to do for it, and what brought it about."""

    before: Transfer | None
    after: Transfer
    orders: Orders
    trigger: Trigger | None
    """None for the start."""
    subject: str | None = None
    """Of the token whose command it was."""

    @property
    def makes_a_difference(self) -> bool:
        if self.before is None or self.orders:
            return True
        return self.after != replace(self.before, version=self.after.version, tm_update=self.after.tm_update)

    @property
    def ends(self) -> bool:
        """Whether the outcome is decided by it."""
        return self.after.status is ENDING and (self.before is None or self.before.outcome is not self.after.outcome)

    @property
    def overruled(self) -> range:
        """The versions whose orders, as far as they still wait, are not to be carried out any more.

        A refused swap or merge takes its own back alone: an answer that came meanwhile has orders, too.
        """
        if self.before and self.trigger in (T.REFUSED, T.START_TIMEOUT, T.JOIN_REFUSED):
            return range(self.after.version)
        if self.before and self.trigger is T.SPEAKING_REFUSED:
            return range(self.before.spoken_version, self.before.spoken_version + 1)
        return range(0)

    @property
    def overrules_join(self) -> bool:
        """Whether the destination is not to join any more, if its order to do so still waits."""
        return self.trigger is T.DESTINATION_LEFT


def knows(t: Transfer, trigger: Trigger) -> bool:
    return (t.status, trigger) in LIFE[t.type]


def allowed_commands(t: Transfer) -> tuple[Trigger, ...]:
    return tuple(command for command in Trigger if command in COMMANDS and knows(t, command) and not t.is_deleted)


def advance(t: Transfer, trigger: Trigger, cause: Cause) -> tuple[Change, ...]:
    """The changes that a trigger makes: none when nothing would change, two when it ends STARTING first.

    Raises Refusal with ILLEGAL_TRANSITION for a command that the present status does not allow.
    """
    if is_done(t, trigger):
        return ()
    row = LIFE[t.type].get((t.status, trigger))
    if row is None:
        return _unknown(t, trigger)
    if isinstance(row, First):
        started = _take(t, row.step, trigger, cause)
        return (started, *advance(started.after, trigger, cause))
    step = row if isinstance(row, Step) else row.yes if row.test(t, cause) else row.no
    change = _take(t, step, trigger, cause)
    return (change,) if change.makes_a_difference else ()


def is_done(t: Transfer, trigger: Trigger) -> bool:
    """A repeated command succeeds again and changes nothing."""
    if trigger in SIDE_WANTED:
        return t.speaking_to is SIDE_WANTED[trigger] and knows(t, trigger)
    if trigger in DONE_WHEN:
        left_ringing = trigger is T.COMPLETE and t.type is Type.ATTENDED and t.status is TRANSFERRING
        return left_ringing or t.outcome is DONE_WHEN[trigger]
    return (trigger is T.MERGE and t.status is MERGED) or (trigger is T.DELETE and t.is_deleted)


def _unknown(t: Transfer, trigger: Trigger) -> tuple[Change, ...]:
    if trigger not in COMMANDS:
        return ()
    verb = trigger.name.split("_")[0].lower()
    raise Refusal(
        RefusalCode.ILLEGAL_TRANSITION,
        f"A transfer that is {t.status.name} can't be told to {verb}.",
        "input",
        "transferId",
        transfer_id=t.id,
    )


def _take(before: Transfer, step: Step, trigger: Trigger, cause: Cause) -> Change:
    t, orders = before, NO_ORDERS
    cause = replace(cause, at=max(cause.at, before.tm_update))  # the times of a transfer never go back
    for effect in step.effects:
        t, more = effect(t, cause)
        orders = (*orders, *more)
    if step.ending:
        t = _decided(t, step.ending)
    after = replace(t, status=step.to or t.status, version=before.version + 1, tm_update=cause.at)
    return Change(before, after, orders, trigger, cause.subject)


def _decided(t: Transfer, ending: Ending) -> Transfer:
    return replace(
        t,
        outcome=ending.outcome,
        outcome_reason=ending.reason(t) if callable(ending.reason) else ending.reason,
        disposition=ending.disposition,
        ended_by=ending.ended_by(t) if callable(ending.ended_by) else ending.ended_by,
    )
