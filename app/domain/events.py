"""The events of a transfer: one for each change."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from app.domain.life import Change
from app.domain.steps import COMMANDS, Trigger
from app.domain.transfer import TERMINAL, Outcome, Party, Reason, SpeakingTo, Status, Transfer, Type, derived_id


class EventKind(StrEnum):
    STARTED = "STARTED"
    STATUS = "STATUS"
    SPEAKING_TO = "SPEAKING_TO"
    ATTEMPT = "ATTEMPT"
    UPDATED = "UPDATED"
    DELETED = "DELETED"


@dataclass(frozen=True, slots=True)
class Event:
    """An entry of the event log. `seq` is its number in the customer's log: from 1, without gaps."""

    id: str
    customer_id: str
    kind: EventKind
    transfer_id: str
    type: Type
    version: int
    previous_status: Status | None
    status: Status
    outcome: Outcome | None
    outcome_reason: Reason | None
    speaking_to: SpeakingTo
    transferee_call_id: str | None
    actor_party: Party
    actor_subject: str | None
    occurred_at: datetime
    seq: int = 0

    @property
    def is_last(self) -> bool:
        """Whether the transfer has ended by the time of this event."""
        return self.status in TERMINAL


ACTORS = {
    Trigger.LEG_RANG: Party.DESTINATION,
    Trigger.LEG_ENDED: Party.DESTINATION,
    Trigger.LEGS_ENDED: Party.DESTINATION,
    Trigger.ANSWERED: Party.DESTINATION,
    Trigger.DESTINATION_LEFT: Party.DESTINATION,
    Trigger.TRANSFERER_LEFT: Party.TRANSFERER,
    Trigger.RECALL_ANSWERED: Party.TRANSFERER,
    Trigger.RECALL_ENDED: Party.TRANSFERER,
    Trigger.HELD_LEFT: Party.HELD,
    Trigger.LAST_HELD_LEFT: Party.HELD,
    Trigger.JOINED: Party.HELD,
}
"""The party that acts, by trigger. A trigger without an entry is a client's command, or the system's."""


def event_of(change: Change) -> Event:
    t, before = change.after, change.before
    return Event(
        id=derived_id(t.id, "event", t.version),
        customer_id=t.customer_id,
        kind=_kind(before, t),
        transfer_id=t.id,
        type=t.type,
        version=t.version,
        previous_status=before.status if before else None,
        status=t.status,
        outcome=t.outcome,
        outcome_reason=t.outcome_reason,
        speaking_to=t.speaking_to,
        transferee_call_id=t.transferee_call_id,
        actor_party=_actor(change),
        actor_subject=change.subject,
        occurred_at=t.tm_update,
    )


def _kind(before: Transfer | None, t: Transfer) -> EventKind:
    if before is None:
        return EventKind.STARTED
    if before.status is not t.status:
        return EventKind.STATUS
    if before.speaking_to is not t.speaking_to:
        return EventKind.SPEAKING_TO
    if before.is_deleted is not t.is_deleted:
        return EventKind.DELETED
    edited = (before.note, before.metadata, before.held) != (t.note, t.metadata, t.held)
    return EventKind.UPDATED if edited else EventKind.ATTEMPT


def _actor(change: Change) -> Party:
    if change.trigger is None or change.trigger in COMMANDS:
        return Party.CLIENT
    return ACTORS.get(change.trigger, Party.SYSTEM)
