"""The engine's resources: calls, groupcalls, and the bridges (conferences) that connect calls."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from app.domain.addresses import Address


class CallStatus(StrEnum):
    DIALING = "DIALING"
    RINGING = "RINGING"
    PROGRESSING = "PROGRESSING"
    TERMINATING = "TERMINATING"
    CANCELING = "CANCELING"
    HANGUP = "HANGUP"
    UNKNOWN = "UNKNOWN"


class CallDirection(StrEnum):
    INCOMING = "INCOMING"
    OUTGOING = "OUTGOING"
    UNKNOWN = "UNKNOWN"


class MuteDirection(StrEnum):
    NONE = "NONE"
    IN = "IN"
    OUT = "OUT"
    BOTH = "BOTH"
    UNKNOWN = "UNKNOWN"


class CallHangupBy(StrEnum):
    REMOTE = "REMOTE"
    LOCAL = "LOCAL"
    UNKNOWN = "UNKNOWN"


class CallHangupReason(StrEnum):
    NORMAL = "NORMAL"
    FAILED = "FAILED"
    BUSY = "BUSY"
    CANCEL = "CANCEL"
    TIMEOUT = "TIMEOUT"
    NOANSWER = "NOANSWER"
    DECLINED = "DECLINED"
    DIALOUT = "DIALOUT"
    AMD = "AMD"
    UNKNOWN = "UNKNOWN"


class RingMethod(StrEnum):
    RING_ALL = "RING_ALL"
    LINEAR = "LINEAR"
    UNKNOWN = "UNKNOWN"


class GroupcallStatus(StrEnum):
    PROGRESSING = "PROGRESSING"
    HANGINGUP = "HANGINGUP"
    HANGUP = "HANGUP"
    UNKNOWN = "UNKNOWN"


class ConferenceType(StrEnum):
    CONFERENCE = "CONFERENCE"
    CONNECT = "CONNECT"
    QUEUE = "QUEUE"
    UNKNOWN = "UNKNOWN"


class ConferenceStatus(StrEnum):
    STARTING = "STARTING"
    PROGRESSING = "PROGRESSING"
    TERMINATING = "TERMINATING"
    TERMINATED = "TERMINATED"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Call:
    """One party's connection, as the engine last reported it.

    `revision` is the engine's own counter of this call's changes. Reports can arrive in any order: the report with the
    highest revision is the newest. `version` counts the changes that we have recorded.
    """

    id: str
    customer_id: str
    status: CallStatus
    direction: CallDirection
    source: Address
    destination: Address
    tm_create: datetime
    tm_update: datetime
    external_id: str | None = None
    owner_id: str | None = None
    mute_direction: MuteDirection = MuteDirection.NONE
    is_on_hold: bool = False
    hangup_by: CallHangupBy | None = None
    hangup_reason: CallHangupReason | None = None
    groupcall_id: str | None = None
    confbridge_id: str | None = None
    tm_ringing: datetime | None = None
    tm_progressing: datetime | None = None
    tm_hangup: datetime | None = None
    revision: int = 0
    version: int = 0

    @property
    def is_up(self) -> bool:
        return self.status is not CallStatus.HANGUP

    @property
    def party(self) -> Address:
        """The address of the party: the source of an incoming call, the destination of an outgoing call."""
        return self.source if self.direction is CallDirection.INCOMING else self.destination


@dataclass(frozen=True, slots=True)
class Groupcall:
    """The calls that one transfer makes to its destinations, as one resource."""

    id: str
    customer_id: str
    status: GroupcallStatus
    source: Address
    destinations: tuple[Address, ...]
    ring_method: RingMethod
    call_ids: tuple[str, ...]
    tm_create: datetime
    tm_update: datetime
    answer_call_id: str | None = None
    external_id: str | None = None
    version: int = 0


@dataclass(frozen=True, slots=True)
class Conference:
    """A bridge: the calls in it hear each other."""

    id: str
    customer_id: str
    type: ConferenceType
    status: ConferenceStatus
    tm_create: datetime
    tm_update: datetime
    name: str = ""
    external_id: str | None = None
    tm_end: datetime | None = None
    revision: int = 0
    version: int = 0

    @property
    def is_up(self) -> bool:
        return self.status not in (ConferenceStatus.TERMINATING, ConferenceStatus.TERMINATED)
