"""The actions of people at their telephones: the effects of the simulate mutations."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from app.domain.addresses import Address
from app.domain.calls import (
    Call,
    CallDirection,
    CallHangupBy,
    CallHangupReason,
    CallStatus,
    Conference,
    ConferenceStatus,
    ConferenceType,
    MuteDirection,
)
from app.domain.text import is_id
from app.ports import NoSuchCall, NotNow, Rejection, SimulatedCall
from app.telephony.simulator.behaviour import answered, is_alerting, owner_of
from app.telephony.simulator.bridges import Bridge
from app.telephony.simulator.exchange import Exchange
from app.telephony.simulator.phones import Phone

REJECTIONS = {
    Rejection.BUSY: CallHangupReason.BUSY,
    Rejection.DECLINED: CallHangupReason.DECLINED,
    Rejection.NO_ANSWER: CallHangupReason.NOANSWER,
    Rejection.UNREACHABLE: CallHangupReason.FAILED,
}


async def connect(
    exchange: Exchange,
    customer_id: str,
    caller: Address,
    agent: Address,
    parties: Sequence[Address],
    new_id: Callable[[], str],
) -> SimulatedCall:
    """Connect a caller, an agent and the other parties in a new bridge."""
    bridge = _bridge(
        new_id(), customer_id, ConferenceType.CONFERENCE if parties else ConferenceType.CONNECT, exchange.at
    )
    await exchange.add_bridge(bridge)
    ids = [new_id() for _ in (caller, agent, *parties)]
    incoming = _talking(ids[0], bridge, CallDirection.INCOMING, caller, agent, exchange.at)
    outgoing = [
        _talking(id_, bridge, CallDirection.OUTGOING, caller, party, exchange.at)
        for id_, party in zip(ids[1:], (agent, *parties), strict=True)
    ]
    for phone in (incoming, *outgoing):
        await exchange.add(phone)
    return SimulatedCall(ids[0], ids[1], bridge.conference.id)


async def answer(exchange: Exchange, customer_id: str, call_id: str) -> None:
    phone = await _phone(exchange, customer_id, call_id)
    if phone.call.status is not CallStatus.RINGING:
        raise _not_now(phone, "be answered: it is not ringing")
    await exchange.change(phone, answered(phone, exchange.at, exchange.pace))


async def reject(exchange: Exchange, customer_id: str, call_id: str, reason: Rejection) -> None:
    phone = await _phone(exchange, customer_id, call_id)
    if not is_alerting(phone):
        raise _not_now(phone, "be rejected: it is not ringing")
    await exchange.end(phone, CallHangupBy.REMOTE, REJECTIONS[reason])


async def hang_up(exchange: Exchange, customer_id: str, call_id: str) -> None:
    """Hang up. Hanging up a ringing telephone declines the call."""
    phone = await _phone(exchange, customer_id, call_id)
    if not phone.call.is_up:
        raise _not_now(phone, "hang up: it has ended")
    reason = CallHangupReason.DECLINED if is_alerting(phone) else CallHangupReason.NORMAL
    await exchange.end(phone, CallHangupBy.REMOTE, reason)


async def hold(
    exchange: Exchange, customer_id: str, call_id: str, is_on_hold: bool, mute_direction: MuteDirection
) -> None:
    phone = await _phone(exchange, customer_id, call_id)
    if phone.call.status is not CallStatus.PROGRESSING:
        raise _not_now(phone, "be held or muted: nobody is talking on it")
    call = replace(phone.call, is_on_hold=is_on_hold, mute_direction=mute_direction)
    await exchange.change(phone, replace(phone, call=call))


async def _phone(exchange: Exchange, customer_id: str, call_id: str) -> Phone:
    phone = await exchange.phone(call_id, customer_id) if is_id(call_id) else None
    if phone is None:
        raise NoSuchCall
    return phone


def _not_now(phone: Phone, what: str) -> NotNow:
    return NotNow(f"The call is {phone.call.status.name} and can't {what}.")


def _bridge(conference_id: str, customer_id: str, type_: ConferenceType, at: datetime) -> Bridge:
    status = ConferenceStatus.PROGRESSING
    return Bridge(Conference(conference_id, customer_id, type_, status, tm_create=at, tm_update=at, revision=1))


def _talking(
    call_id: str, bridge: Bridge, direction: CallDirection, source: Address, destination: Address, at: datetime
) -> Phone:
    return Phone(
        Call(
            call_id,
            bridge.conference.customer_id,
            CallStatus.PROGRESSING,
            direction,
            source,
            destination,
            tm_create=at,
            tm_update=at,
            owner_id=owner_of(source if direction is CallDirection.INCOMING else destination),
            confbridge_id=bridge.conference.id,
            tm_ringing=at,
            tm_progressing=at,
            revision=1,
        )
    )
