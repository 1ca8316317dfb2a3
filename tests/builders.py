"""Domain values for tests. A test names only the fields that matter to it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from app.domain.addresses import Address, AddressType
from app.domain.calls import (
    Call,
    CallDirection,
    CallHangupBy,
    CallHangupReason,
    CallStatus,
    Conference,
    ConferenceStatus,
    ConferenceType,
)
from app.domain.transfer import (
    Attempt,
    DialOutcome,
    HeldParty,
    Outcome,
    Party,
    Reason,
    SpeakingTo,
    Status,
    Timer,
    Transfer,
    Type,
    derived_id,
)
from app.domain.viewer import Permission, Viewer

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def uid(name: str) -> str:
    """Return a UUID that depends only on the name."""
    return str(uuid5(NAMESPACE_URL, name))


CUSTOMER = uid("customer")
TRANSFERER, HELD, BRIDGE, TRANSFER = uid("transferer"), uid("held"), uid("bridge"), uid("transfer")
LEG, OTHER_LEG, RECALL_LEG = (derived_id(TRANSFER, *leg) for leg in (("leg", 0), ("leg", 1), ("recall", 1)))


def tel(number: str) -> Address:
    return Address(AddressType.TEL, number)


AGENT_PHONE = tel("+15550000001")
CALLER_PHONE = tel("+15550000002")
DESTINATIONS = (tel("+15550000107"), tel("+15550001107"))


def viewer(customer: str = CUSTOMER, *permissions: Permission, subject: str = "agent") -> Viewer:
    """Return a viewer with these permissions, or with all when none is given."""
    return Viewer(customer, subject, frozenset(permissions or Permission), NOON + timedelta(days=365))


def call(id_: str = TRANSFERER, **changes: Any) -> Call:
    plain = Call(
        id=id_,
        customer_id=CUSTOMER,
        status=CallStatus.PROGRESSING,
        direction=CallDirection.OUTGOING,
        source=CALLER_PHONE,
        destination=AGENT_PHONE,
        confbridge_id=BRIDGE,
        tm_create=NOON,
        tm_update=NOON,
        tm_progressing=NOON,
        revision=1,
    )
    return replace(plain, **changes)


def leg(id_: str = LEG, status: CallStatus = CallStatus.RINGING, **changes: Any) -> Call:
    plain = call(id_, status=status, source=AGENT_PHONE, destination=DESTINATIONS[0], confbridge_id=None)
    return replace(plain, **({"tm_progressing": None} | changes))


def ended(
    one: Call,
    reason: CallHangupReason = CallHangupReason.NORMAL,
    by: CallHangupBy = CallHangupBy.REMOTE,
    seconds: float = 1,
) -> Call:
    at = one.tm_update + timedelta(seconds=seconds)
    return replace(
        one,
        status=CallStatus.HANGUP,
        hangup_reason=reason,
        hangup_by=by,
        tm_hangup=at,
        tm_update=at,
        revision=one.revision + 1,
    )


def bridge(**changes: Any) -> Conference:
    plain = Conference(BRIDGE, CUSTOMER, ConferenceType.CONNECT, ConferenceStatus.PROGRESSING, NOON, NOON, revision=1)
    return replace(plain, **changes)


def transfer(status: Status = Status.RINGING, type_: Type = Type.ATTENDED, **changes: Any) -> Transfer:
    """Return a transfer in this status, with the legs, timer and outcome that fit it."""
    plain = Transfer(
        id=TRANSFER,
        customer_id=CUSTOMER,
        type=type_,
        transferer_call_id=TRANSFERER,
        transferer_address=AGENT_PHONE,
        transferee_addresses=DESTINATIONS,
        groupcall_id=derived_id(TRANSFER, "groupcall"),
        confbridge_id=BRIDGE,
        held=(HeldParty(HELD),),
        tm_create=NOON,
        tm_update=NOON,
        attempts=tuple(
            Attempt(address, derived_id(TRANSFER, "leg", n), NOON) for n, address in enumerate(DESTINATIONS)
        ),
        status=status,
        timer=Timer.RING,
        tm_deadline=NOON + timedelta(seconds=30),
        version=3,
    )
    return replace(plain, **(_LIKE.get(status, {}) | changes))


def _settled(*outcomes: DialOutcome) -> tuple[Attempt, ...]:
    return tuple(
        Attempt(address, derived_id(TRANSFER, "leg", n), NOON, outcome, tm_end=NOON)
        for n, (address, outcome) in enumerate(zip(DESTINATIONS, outcomes, strict=True))
    )


_answered: dict[str, Any] = {
    "transferee_call_id": LEG,
    "attempts": _settled(DialOutcome.ANSWERED, DialOutcome.ANSWERED_ELSEWHERE),
    "tm_ringing": NOON,
    "tm_answer": NOON,
    "timer": None,
    "tm_deadline": None,
}
_missed: dict[str, Any] = {
    "attempts": _settled(DialOutcome.BUSY, DialOutcome.NO_ANSWER),
    "outcome_reason": Reason.BUSY,
    "ended_by": Party.DESTINATION,
}
_over: dict[str, Any] = {"timer": None, "tm_deadline": None}
_LIKE: dict[Status, dict[str, Any]] = {
    Status.STARTING: {"timer": Timer.START, "version": 1},
    Status.CONSULTING: _answered | {"speaking_to": SpeakingTo.DESTINATION},
    Status.MERGED: _answered | {"speaking_to": SpeakingTo.ALL, "spoke_to": SpeakingTo.DESTINATION, "spoken_version": 3},
    Status.RECALLING: _missed | {"recall_attempts": 1, "recall_call_id": RECALL_LEG, "timer": Timer.RECALL},
    Status.ENDING: _over | {"outcome": Outcome.CANCELLED, "attempts": _missed["attempts"]},
    Status.COMPLETED: _answered | {"outcome": Outcome.COMPLETED, "tm_end": NOON},
    Status.CANCELLED: _over | {"outcome": Outcome.CANCELLED, "attempts": _missed["attempts"], "tm_end": NOON},
    Status.FAILED: _over | _missed | {"outcome": Outcome.FAILED, "tm_end": NOON},
    Status.ABANDONED: _over | {"outcome": Outcome.ABANDONED, "attempts": _missed["attempts"], "tm_end": NOON},
}
