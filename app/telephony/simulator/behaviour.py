"""The behaviour of simulated telephones: what they do when they ring, and how their state changes."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from app.domain.addresses import Address, AddressType
from app.domain.calls import Call, CallDirection, CallHangupBy, CallHangupReason, CallStatus, MuteDirection
from app.domain.orders import OrderKind
from app.telephony.simulator.phones import Phone

MUTED_IN = {MuteDirection.NONE: MuteDirection.IN, MuteDirection.OUT: MuteDirection.BOTH}
"""The mute direction of a held call, by the user's own mute direction."""

SIP_USER = re.compile(r"(?:sips?:)?([^:;@]*).*", re.DOTALL)

HANGS_UP_AFTER = 2.0
"""Seconds until a telephone that answers briefly hangs up."""


class Plan(StrEnum):
    """The next action of a telephone."""

    ANSWER = "ANSWER"
    ANSWER_BRIEFLY = "ANSWER_BRIEFLY"
    BE_BUSY = "BE_BUSY"
    DECLINE = "DECLINE"
    FAIL = "FAIL"
    HANG_UP = "HANG_UP"


ENDS = {
    Plan.BE_BUSY: CallHangupReason.BUSY,
    Plan.DECLINE: CallHangupReason.DECLINED,
    Plan.FAIL: CallHangupReason.FAILED,
    Plan.HANG_UP: CallHangupReason.NORMAL,
}


@dataclass(frozen=True, slots=True)
class Manner:
    """The reaction of a dialled telephone: its plan, the seconds until then, and whether it rings meanwhile."""

    plan: Plan | None
    seconds: float = 0.0
    rings: bool = True


NUMBERS = (
    ("0100", "answer", Manner(Plan.ANSWER, 1.0)),
    ("0101", "instant", Manner(Plan.ANSWER)),
    ("0102", "busy", Manner(Plan.BE_BUSY, 0.2, rings=False)),
    ("0103", "noanswer", Manner(None)),
    ("0104", "decline", Manner(Plan.DECLINE, 0.2)),
    ("0105", "unreachable", Manner(Plan.FAIL, rings=False)),
    ("0106", "hangup", Manner(Plan.ANSWER_BRIEFLY)),
    ("0107", "manual", Manner(None)),
)
MANNERS = {key: manner for number, word, manner in NUMBERS for key in (number, word)}
ANSWERS, WAITS = MANNERS["answer"], MANNERS["manual"]
ANSWERS_RECALL = Manner(Plan.ANSWER, 3.0)
"""The reaction to a recall in the demo, where no person plays the transferer."""


def manner_of(destination: Address, otherwise: Manner) -> Manner:
    """Return the manner that the number or word of the address stands for, or else `otherwise`."""
    return next((MANNERS[key] for key in _keys(destination) if key in MANNERS), otherwise)


def _keys(address: Address) -> Iterator[str]:
    """Yield the user part of a SIP address, or the whole and the last four characters of any other."""
    if address.type is AddressType.SIP:
        yield SIP_USER.sub(r"\1", address.target).lower()
        return
    for part in (address.target, address.target_name if address.type is AddressType.EXTENSION else ""):
        yield part.lower()
        yield part[-4:].lower()


def seen(phone: Phone) -> Call:
    """Return the call as it is reported. What is ordered hides the user's own hold and mute."""
    call = phone.call
    if phone.ordered is OrderKind.HOLD:
        return replace(call, is_on_hold=True, mute_direction=MUTED_IN.get(call.mute_direction, call.mute_direction))
    if phone.ordered is OrderKind.OPEN:
        return replace(call, is_on_hold=False, mute_direction=MuteDirection.NONE)
    return replace(call, is_on_hold=call.is_on_hold and phone.ordered is not OrderKind.RINGBACK)


def dialled(
    call_id: str, customer_id: str, source: Address, destination: Address, groupcall_id: str | None, at: datetime
) -> Phone:
    return Phone(
        Call(
            call_id,
            customer_id,
            CallStatus.DIALING,
            CallDirection.OUTGOING,
            source,
            destination,
            tm_create=at,
            tm_update=at,
            owner_id=owner_of(destination),
            groupcall_id=groupcall_id,
            revision=1,
        )
    )


def owner_of(party: Address) -> str | None:
    return party.target if party.type is AddressType.AGENT else None


def rung(phone: Phone, manner: Manner, at: datetime, pace: float) -> Phone:
    due = at + timedelta(seconds=manner.seconds / pace) if manner.plan else None
    planned = replace(phone, plan=manner.plan, tm_plan=due)
    if not manner.rings:
        return planned
    return replace(planned, call=replace(phone.call, status=CallStatus.RINGING, tm_ringing=at))


def answered(phone: Phone, at: datetime, pace: float) -> Phone:
    call = replace(phone.call, status=CallStatus.PROGRESSING, tm_progressing=at)
    if phone.plan == Plan.ANSWER_BRIEFLY:
        return replace(phone, call=call, plan=Plan.HANG_UP, tm_plan=at + timedelta(seconds=HANGS_UP_AFTER / pace))
    return replace(phone, call=call, plan=None, tm_plan=None)


def ended(phone: Phone, by: CallHangupBy, reason: CallHangupReason, at: datetime) -> Phone:
    """Return the phone without orders and plans. Its call keeps the id of the bridge that it was in."""
    return Phone(replace(phone.call, status=CallStatus.HANGUP, hangup_by=by, hangup_reason=reason, tm_hangup=at))


def is_alerting(phone: Phone) -> bool:
    """Return whether the phone has been dialled and not answered yet."""
    return phone.call.status in (CallStatus.DIALING, CallStatus.RINGING)
