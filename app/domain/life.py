"""The life of a transfer: one table that maps (status, trigger) to the next status and its orders.

Blind and attended transfers share the rows of `SHARED`. `BLIND` and `ATTENDED` add their own. A command that has no row
is refused. A report or a timer that has no row does nothing. The engine carries out the orders of a row in the order of
its effects.

The table does not show the following rules:

- Repeats. A command whose effect is there already succeeds again and changes nothing (`is_done`).
- `First`. The engine's reports may arrive before its confirmations. Such a row first takes the step that ends STARTING,
  and then the trigger's own row in the new status: two changes.
- No difference. A step that gives no orders and changes nothing in the record makes no version and no event
  (`Change.makes_a_difference`).
- ENDING. The outcome is decided, and it becomes the status when every order is confirmed (`effects.conclude`). Only
  JOIN_REFUSED changes the outcome: the engine can't let in the party that the outcome relies on.
- Overruled orders. A refusal may make orders needless that still wait (`Change.overruled`), and a destination that
  leaves does not join any more (`Change.overrules_join`).
- Given-up hang-ups. When the outcome is decided, hang-ups that the engine has refused to the last are tried once more,
  before the new orders (`Change.ends`).
- Sources of triggers. `sightings.py` says which trigger follows from a report, a refused order and a timer.
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

# In the table, names without a prefix are dispositions and parties.
S, T = Status, Trigger
RETURNED, RECALLED, RELEASED = Disposition
TRANSFERER, HELD, DESTINATION, CLIENT, SYSTEM = Party
BEFORE_ENDING = tuple(status for status in LIVE if status is not S.ENDING)
HUNTING = (S.STARTING, S.RINGING, S.TRANSFERRING)

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

ring = go(2, S.RINGING, do.ring_timer)
leave = go(3, S.TRANSFERRING, do.record_leg, do.ringback_held, do.transferer_out, do.ring_timer)
# The transferer may leave before the dial is confirmed. The confirmation then starts the ring timer.
ring_undialled = go(2, S.RINGING, do.no_start_timer)
leave_undialled = go(3, S.TRANSFERRING, do.ringback_held, do.transferer_out, do.no_start_timer)
leave_ringing = go(10, S.TRANSFERRING, do.restore_held, do.ringback_held, do.transferer_out)
engine_error = end(4, Outcome.FAILED, Reason.ENGINE_ERROR, RETURNED, SYSTEM, end_legs, *RETURN)
recall_again = Fork(
    recalls_left,
    stay(22, do.end_recall, do.pause_timer),
    end(22, Outcome.FAILED, kept, RELEASED, kept_party, do.end_recall, *RELEASE),
)

# fmt: off
SHARED: Mapping[tuple[Status, Trigger], Row] = {
    (S.STARTING, T.REFUSED): engine_error,
    (S.STARTING, T.START_TIMEOUT): engine_error,
    (S.TRANSFERRING, T.ANSWERED): end(
        19, Outcome.COMPLETED, None, None, DESTINATION, do.accept, do.restore_held, do.join_destination),
    (S.TRANSFERRING, T.LEGS_ENDED): Fork(
        returning,
        go(20, S.RECALLING, do.record_leg, do.keep(do.legs_reason, DESTINATION), do.recall),
        end(20, Outcome.FAILED, do.legs_reason, RELEASED, DESTINATION, do.record_leg, *RELEASE)),
    (S.TRANSFERRING, T.RING_TIMEOUT): Fork(
        returning,
        go(20, S.RECALLING, end_silent_legs, do.keep(Reason.TIMEOUT, SYSTEM), do.recall),
        end(20, Outcome.FAILED, Reason.TIMEOUT, RELEASED, SYSTEM, end_silent_legs, *RELEASE)),
    (S.TRANSFERRING, T.CANCEL): go(20, S.RECALLING, end_legs, do.keep(Reason.COMMAND, CLIENT), do.recall),
    (S.RECALLING, T.RECALL_ANSWERED): end(
        21, Outcome.FAILED, kept, RECALLED, kept_party, do.restore_held, do.join_transferer),
    (S.RECALLING, T.RECALL_ENDED): recall_again,
    (S.RECALLING, T.RECALL_TIMEOUT): recall_again,
    (S.RECALLING, T.RECALL_PAUSE_OVER): stay(22, do.recall),
    (S.RECALLING, T.CONFIRMED): stay(22, do.recall_timer),
    **in_((S.STARTING, S.RINGING, S.TRANSFERRING, S.RECALLING), T.LAST_HELD_LEFT, end(
        11, Outcome.ABANDONED, Reason.HELD_HANGUP, None, HELD, end_legs, do.end_recall, do.with_nobody)),
    **in_((S.RINGING, S.TRANSFERRING), T.CONFIRMED, stay(23, do.ring_timer)),
    **in_(HUNTING, T.LEG_RANG, stay(23, do.record_leg)),
    **in_(HUNTING, T.LEG_ENDED, stay(23, do.record_leg, do.hunt)),
    **in_(HUNTING, T.LEG_TIMEOUT, stay(23, end_silent_legs, do.hunt)),
    **in_(BEFORE_ENDING, T.HELD_LEFT, stay(24, do.forget_held)),
    **in_(BEFORE_ENDING, T.BRIDGE_GONE, end(
        26, Outcome.FAILED, Reason.BRIDGE_LOST, RELEASED, SYSTEM,
        end_legs, do.end_recall, do.restore_held, do.with_nobody)),
    **in_((S.TRANSFERRING, S.RECALLING), T.JOINED, stay(25, do.take_in, do.ringback_newcomer)),
    (S.ENDING, T.JOIN_REFUSED): end(
        28, Outcome.FAILED, Reason.ENGINE_ERROR, RELEASED, SYSTEM, do.end_refused, do.transferer_out, *RELEASE),
    (S.ENDING, T.CONFIRMED): stay(27, do.conclude),
    **in_(LIVE, T.UPDATE, stay(29, do.edit)),
    **in_(TERMINAL, T.DELETE, stay(30, do.delete)),
}

BLIND: Mapping[tuple[Status, Trigger], Row] = {
    **SHARED,
    (S.STARTING, T.CONFIRMED): stay(2, do.ring_timer),
    (S.STARTING, T.LEG_RANG): leave,
    (S.STARTING, T.ANSWERED): First(leave),
    (S.STARTING, T.TRANSFERER_LEFT): First(leave_undialled),
    (S.STARTING, T.LEGS_ENDED): end(5, Outcome.FAILED, do.legs_reason, RETURNED, DESTINATION, do.record_leg, *PLAIN),
    (S.STARTING, T.RING_TIMEOUT): end(5, Outcome.FAILED, Reason.TIMEOUT, RETURNED, SYSTEM, end_silent_legs, *PLAIN),
    (S.STARTING, T.CANCEL): end(5, Outcome.CANCELLED, Reason.COMMAND, None, CLIENT, end_legs, *PLAIN),
    (S.STARTING, T.JOINED): stay(25, do.take_in),
}

ATTENDED: Mapping[tuple[Status, Trigger], Row] = {
    **SHARED,
    (S.STARTING, T.CONFIRMED): ring,
    **{(S.STARTING, trigger): First(ring) for trigger in (T.ANSWERED, T.LEGS_ENDED, T.CANCEL)},
    (S.STARTING, T.TRANSFERER_LEFT): First(ring_undialled),
    (S.RINGING, T.ANSWERED): go(7, S.CONSULTING, do.accept, do.consult, do.consult_timer),
    (S.RINGING, T.LEGS_ENDED): end(8, Outcome.FAILED, do.legs_reason, RETURNED, DESTINATION, do.record_leg, *RETURN),
    (S.RINGING, T.RING_TIMEOUT): end(8, Outcome.FAILED, Reason.TIMEOUT, RETURNED, SYSTEM, end_silent_legs, *RETURN),
    (S.RINGING, T.CANCEL): end(9, Outcome.CANCELLED, Reason.COMMAND, None, CLIENT, end_legs, *RETURN),
    (S.RINGING, T.COMPLETE): leave_ringing,
    (S.RINGING, T.TRANSFERER_LEFT): leave_ringing,
    **in_((S.RINGING, S.CONSULTING), T.SWAP_TO_HELD, stay(12, swap_to_held)),
    **in_((S.RINGING, S.CONSULTING), T.SWAP_TO_DESTINATION, stay(12, swap_to_destination)),
    **in_((S.RINGING, S.CONSULTING), T.SPEAKING_REFUSED, stay(12, do.speak_as_before)),
    **{(S.CONSULTING, trigger): end(
        13, Outcome.COMPLETED, None, None, by, do.restore_held, do.restore_destination, do.transferer_out)
        for trigger, by in ((T.COMPLETE, CLIENT), (T.TRANSFERER_LEFT, TRANSFERER))},
    (S.CONSULTING, T.CANCEL): end(14, Outcome.CANCELLED, Reason.COMMAND, None, CLIENT, end_legs, *RETURN),
    (S.CONSULTING, T.DESTINATION_LEFT): end(
        14, Outcome.FAILED, Reason.DESTINATION_HANGUP, RETURNED, DESTINATION, end_legs, *RETURN),
    (S.CONSULTING, T.CONSULT_TIMEOUT): end(
        14, Outcome.FAILED, Reason.CONSULT_TIMEOUT, RETURNED, SYSTEM, end_legs, *RETURN),
    **in_((S.CONSULTING, S.MERGED), T.LAST_HELD_LEFT, end(
        15, Outcome.ABANDONED, Reason.HELD_HANGUP, None, HELD, do.restore_destination, do.with_destination)),
    (S.CONSULTING, T.MERGE): go(16, S.MERGED, merge, do.no_timer),
    (S.MERGED, T.SPEAKING_REFUSED): go(16, S.CONSULTING, do.speak_as_before, do.consult_timer),
    **{(S.MERGED, trigger): end(
        17, Outcome.COMPLETED, None, None, by, do.restore_held, do.restore_destination, do.transferer_out)
        for trigger, by in ((T.COMPLETE, CLIENT), (T.TRANSFERER_LEFT, TRANSFERER))},
    (S.MERGED, T.CANCEL): end(18, Outcome.CANCELLED, Reason.COMMAND, None, CLIENT, end_legs, *RETURN),
    (S.MERGED, T.DESTINATION_LEFT): end(
        18, Outcome.FAILED, Reason.DESTINATION_HANGUP, RETURNED, DESTINATION, end_legs, *RETURN),
    **in_((S.STARTING, S.RINGING, S.CONSULTING), T.JOINED, stay(25, do.take_in, do.hold_newcomer)),
    (S.MERGED, T.JOINED): stay(25, do.take_in, do.open_newcomer),
}
# fmt: on

LIFE: Mapping[Type, Mapping[tuple[Status, Trigger], Row]] = {Type.ATTENDED: ATTENDED, Type.BLIND: BLIND}

SIDE_WANTED = {
    T.SWAP_TO_HELD: SpeakingTo.HELD,
    T.SWAP_TO_DESTINATION: SpeakingTo.DESTINATION,
}
DONE_WHEN = {T.COMPLETE: Outcome.COMPLETED, T.CANCEL: Outcome.CANCELLED}


@dataclass(frozen=True, slots=True)
class Change:
    """One new version of the record, its orders to the engine, and what caused it."""

    before: Transfer | None
    after: Transfer
    orders: Orders
    trigger: Trigger | None
    """None for the start."""
    subject: str | None = None
    """The subject of the token that gave the command. None for anything but a command."""

    @property
    def makes_a_difference(self) -> bool:
        if self.before is None or self.orders:
            return True
        return self.after != replace(self.before, version=self.after.version, tm_update=self.after.tm_update)

    @property
    def ends(self) -> bool:
        """Whether this change decides the outcome."""
        return self.after.status is S.ENDING and (self.before is None or self.before.outcome is not self.after.outcome)

    @property
    def overruled(self) -> range:
        """The versions whose waiting orders must not be carried out any more.

        A refused swap or merge overrules its own orders only, since an answer may have added orders in the meantime.
        """
        if self.before and self.trigger in (T.REFUSED, T.START_TIMEOUT, T.JOIN_REFUSED):
            return range(self.after.version)
        if self.before and self.trigger is T.SPEAKING_REFUSED:
            return range(self.before.spoken_version, self.before.spoken_version + 1)
        return range(0)

    @property
    def overrules_join(self) -> bool:
        """Whether the destination must not join any more, if that order still waits."""
        return self.trigger is T.DESTINATION_LEFT


def knows(t: Transfer, trigger: Trigger) -> bool:
    return (t.status, trigger) in LIFE[t.type]


def allowed_commands(t: Transfer) -> tuple[Trigger, ...]:
    return tuple(command for command in Trigger if command in COMMANDS and knows(t, command) and not t.is_deleted)


def advance(t: Transfer, trigger: Trigger, cause: Cause) -> tuple[Change, ...]:
    """Return the changes that a trigger makes: none if nothing would change, and two if it ends STARTING first.

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
    """Return whether the trigger is a command whose effect is there already."""
    if trigger in SIDE_WANTED:
        return t.speaking_to is SIDE_WANTED[trigger] and knows(t, trigger)
    if trigger in DONE_WHEN:
        left_ringing = trigger is T.COMPLETE and t.type is Type.ATTENDED and t.status is S.TRANSFERRING
        return left_ringing or t.outcome is DONE_WHEN[trigger]
    return (trigger is T.MERGE and t.status is S.MERGED) or (trigger is T.DELETE and t.is_deleted)


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
    cause = replace(cause, at=max(cause.at, before.tm_update))  # the times of one transfer never go back
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
