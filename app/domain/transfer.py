"""The record of a transfer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID, uuid5

from app.domain.addresses import Address
from app.domain.calls import CallHangupReason, MuteDirection, RingMethod

NOT_DELETED = datetime(9999, 1, 1, tzinfo=UTC)
"""The value of `tm_delete` while the record is not deleted. VoIPbin's format sets it, for this field only."""


class Type(StrEnum):
    ATTENDED = "ATTENDED"
    BLIND = "BLIND"


class Status(StrEnum):
    STARTING = "STARTING"
    RINGING = "RINGING"
    CONSULTING = "CONSULTING"
    MERGED = "MERGED"
    TRANSFERRING = "TRANSFERRING"
    RECALLING = "RECALLING"
    ENDING = "ENDING"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"
    FAILED = "FAILED"
    ABANDONED = "ABANDONED"


class Outcome(StrEnum):
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"
    FAILED = "FAILED"
    ABANDONED = "ABANDONED"


TERMINAL = frozenset(Status(outcome) for outcome in Outcome)
LIVE = tuple(status for status in Status if status not in TERMINAL)


class Reason(StrEnum):
    BUSY = "BUSY"
    NO_ANSWER = "NO_ANSWER"
    DECLINED = "DECLINED"
    UNREACHABLE = "UNREACHABLE"
    TIMEOUT = "TIMEOUT"
    CONSULT_TIMEOUT = "CONSULT_TIMEOUT"
    DESTINATION_HANGUP = "DESTINATION_HANGUP"
    HELD_HANGUP = "HELD_HANGUP"
    COMMAND = "COMMAND"
    BRIDGE_LOST = "BRIDGE_LOST"
    ENGINE_ERROR = "ENGINE_ERROR"


class Disposition(StrEnum):
    RETURNED = "RETURNED"
    RECALLED = "RECALLED"
    RELEASED = "RELEASED"


class Party(StrEnum):
    TRANSFERER = "TRANSFERER"
    HELD = "HELD"
    DESTINATION = "DESTINATION"
    CLIENT = "CLIENT"
    SYSTEM = "SYSTEM"


class SpeakingTo(StrEnum):
    DESTINATION = "DESTINATION"
    HELD = "HELD"
    ALL = "ALL"
    NONE = "NONE"


class FailurePolicy(StrEnum):
    RETURN_TO_TRANSFERER = "RETURN_TO_TRANSFERER"
    RELEASE = "RELEASE"


class Timer(StrEnum):
    """The timers of a transfer. At most one runs at a time."""

    START = "START"
    RING = "RING"
    CONSULT = "CONSULT"
    RECALL = "RECALL"
    RECALL_PAUSE = "RECALL_PAUSE"


class DialOutcome(StrEnum):
    PENDING = "PENDING"
    RINGING = "RINGING"
    ANSWERED = "ANSWERED"
    BUSY = "BUSY"
    NO_ANSWER = "NO_ANSWER"
    DECLINED = "DECLINED"
    UNREACHABLE = "UNREACHABLE"
    TIMEOUT = "TIMEOUT"
    CANCELLED = "CANCELLED"
    ANSWERED_ELSEWHERE = "ANSWERED_ELSEWHERE"


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt to dial one destination. It is recorded with its dial order; `tm_end` is the time of its outcome."""

    address: Address
    call_id: str
    tm_start: datetime
    outcome: DialOutcome = DialOutcome.PENDING
    hangup_reason: CallHangupReason | None = None
    tm_end: datetime | None = None

    @property
    def is_open(self) -> bool:
        return self.outcome in (DialOutcome.PENDING, DialOutcome.RINGING)


@dataclass(frozen=True, slots=True)
class HeldParty:
    """A party that is transferred, with the hold and mute that they had set themselves before the transfer."""

    call_id: str
    is_on_hold: bool = False
    mute_direction: MuteDirection = MuteDirection.NONE


@dataclass(frozen=True, slots=True)
class Transfer:
    id: str
    customer_id: str
    type: Type
    transferer_call_id: str
    transferer_address: Address
    """The address that a recall dials."""
    transferee_addresses: tuple[Address, ...]
    groupcall_id: str
    confbridge_id: str
    held: tuple[HeldParty, ...]
    tm_create: datetime
    tm_update: datetime
    transferee_call_id: str | None = None
    tm_delete: datetime = NOT_DELETED
    status: Status = Status.STARTING
    outcome: Outcome | None = None
    outcome_reason: Reason | None = None
    """Set when the transfer moves to ENDING, or to RECALLING: then it says why the destination was not reached."""
    disposition: Disposition | None = None
    ended_by: Party | None = None
    speaking_to: SpeakingTo = SpeakingTo.NONE
    spoke_to: SpeakingTo = SpeakingTo.NONE
    """`speaking_to` before the last swap or merge; restored when the engine refuses it."""
    spoken_version: int = 0
    """The version that recorded the last swap or merge. 0: there was none."""
    ring_method: RingMethod = RingMethod.RING_ALL
    ring_timeout: int = 30
    consult_timeout: int | None = None
    on_failure: FailurePolicy = FailurePolicy.RETURN_TO_TRANSFERER
    recall_attempts: int = 0
    recall_call_id: str | None = None
    attempts: tuple[Attempt, ...] = ()
    previous_transfer_id: str | None = None
    note: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    started_by: str | None = None
    idempotency_key: str | None = None
    fingerprint: str | None = None
    """A hash of the start's normalised input, to detect that an idempotency key is used again with other input."""
    version: int = 1
    tm_ringing: datetime | None = None
    tm_answer: datetime | None = None
    tm_end: datetime | None = None
    timer: Timer | None = None
    tm_deadline: datetime | None = None

    @property
    def is_live(self) -> bool:
        return self.status not in TERMINAL

    @property
    def is_deleted(self) -> bool:
        return self.tm_delete != NOT_DELETED

    @property
    def held_call_ids(self) -> tuple[str, ...]:
        return tuple(party.call_id for party in self.held)

    def counts_on(self, call_id: str | None) -> bool:
        """Return whether the decided outcome needs this leg in the bridge: the destination's, or the recall's."""
        if self.status is not Status.ENDING or call_id is None:
            return False
        if self.outcome is Outcome.COMPLETED:
            return call_id == self.transferee_call_id
        return self.disposition is Disposition.RECALLED and call_id == self.recall_call_id

    @property
    def leg_ids(self) -> tuple[str, ...]:
        """The ids of all calls that the transfer dials: to its destinations, and recalls of the transferer."""
        return (*(attempt.call_id for attempt in self.attempts), *self.recall_call_ids)

    @property
    def party_ids(self) -> tuple[str, ...]:
        """The ids of all calls in the transfer: transferer, held parties and legs."""
        return (self.transferer_call_id, *self.held_call_ids, *self.leg_ids)

    @property
    def roles(self) -> dict[str, Party]:
        """The part that each of these calls has."""
        return {
            **dict.fromkeys(self.leg_ids, Party.DESTINATION),
            **dict.fromkeys(self.recall_call_ids, Party.TRANSFERER),
            **dict.fromkeys(self.held_call_ids, Party.HELD),
            self.transferer_call_id: Party.TRANSFERER,
        }

    @property
    def undialled(self) -> tuple[Address, ...]:
        return self.transferee_addresses[len(self.attempts) :]

    @property
    def open_attempts(self) -> tuple[Attempt, ...]:
        return tuple(attempt for attempt in self.attempts if attempt.is_open)

    @property
    def recall_call_ids(self) -> tuple[str, ...]:
        return tuple(derived_id(self.id, "recall", n) for n in range(1, self.recall_attempts + 1))


def derived_id(transfer_id: str, what: str, number: int = 0) -> str:
    """Return an id that depends only on the arguments, so that a repeated order creates nothing twice."""
    return str(uuid5(UUID(transfer_id), f"{what} {number}"))
