"""Carries out each kind of order. An order that is already carried out, or whose party is gone, succeeds."""

from dataclasses import replace

from app.domain.calls import Call, CallHangupBy, CallHangupReason, CallStatus
from app.domain.orders import Order, OrderKind
from app.ports import OrderRefused
from app.telephony.simulator import phones
from app.telephony.simulator.behaviour import ANSWERS, dialled, is_alerting, manner_of, rung, seen
from app.telephony.simulator.exchange import Exchange
from app.telephony.simulator.phones import Phone

SWITCHES = {
    OrderKind.HOLD: OrderKind.HOLD,
    OrderKind.RINGBACK: OrderKind.RINGBACK,
    OrderKind.OPEN: OrderKind.OPEN,
    OrderKind.RESTORE: None,
}
"""What each order stores at a phone. The user's own hold and mute are stored apart, so RESTORE stores nothing."""

OF_BRIDGES = (OrderKind.KEEP_ALIVE, OrderKind.CLEAR_KEEP_ALIVE, OrderKind.RELEASE)

SWEEPING = (OrderKind.CLEAR_KEEP_ALIVE, OrderKind.RELEASE, OrderKind.JOIN, OrderKind.HANG_UP)
"""Orders that may end a bridge, and with it the calls that are left there."""


async def carry_out(exchange: Exchange, order: Order, customer_id: str) -> list[Call]:
    """Carry out the order. Return its call and the calls that it ended, now or when it was first carried out."""
    if order.kind in OF_BRIDGES:
        await _to_bridge(exchange, order, customer_id)
    elif order.kind is OrderKind.DIAL:
        await _dial(exchange, order, customer_id)
    else:
        await _to_phone(exchange, order, customer_id)
    return await _touched(exchange, order, customer_id)


async def _to_bridge(exchange: Exchange, order: Order, customer_id: str) -> None:
    bridge = await exchange.bridge(order.confbridge_id, customer_id)
    if bridge and bridge.conference.is_up:
        await exchange.keep_alive(bridge, order.kind is OrderKind.KEEP_ALIVE)
        await exchange.settle(bridge.conference.id, least=2 if order.kind is OrderKind.RELEASE else 0)


async def _dial(exchange: Exchange, order: Order, customer_id: str) -> None:
    """Dial the leg, unless it is dialled already. A leg without a groupcall is a recall."""
    assert order.call_id
    assert order.source
    assert order.destination
    there = await phones.find(exchange.connection, order.call_id)
    if there is None:
        manner = manner_of(order.destination, exchange.recalled if order.groupcall_id is None else ANSWERS)
        leg = dialled(order.call_id, customer_id, order.source, order.destination, order.groupcall_id, exchange.at)
        await exchange.add(leg)
        await exchange.change(leg, rung(leg, manner, exchange.at, exchange.pace))
    elif there.call.customer_id != customer_id:
        raise OrderRefused("A call with this id is there already, and it is not this one.")


async def _to_phone(exchange: Exchange, order: Order, customer_id: str) -> None:
    phone = await exchange.phone(order.call_id, customer_id)
    if phone is None or not phone.call.is_up:
        return
    if order.kind is OrderKind.HANG_UP:
        await exchange.end(phone, CallHangupBy.LOCAL, _reason(phone))
    elif order.kind is OrderKind.JOIN:
        await _join(exchange, phone, order)
    else:
        await exchange.change(phone, replace(phone, ordered=SWITCHES[order.kind]))


def _reason(phone: Phone) -> CallHangupReason:
    return CallHangupReason.CANCEL if is_alerting(phone) else CallHangupReason.NORMAL


async def _join(exchange: Exchange, phone: Phone, order: Order) -> None:
    bridge = await exchange.bridge(order.confbridge_id, phone.call.customer_id)
    if bridge is None or not bridge.conference.is_up:
        return
    if phone.call.status is not CallStatus.PROGRESSING:
        raise OrderRefused("Only a call that has been answered can join a bridge.")
    await exchange.join(phone, bridge)


async def _touched(exchange: Exchange, order: Order, customer_id: str) -> list[Call]:
    """Return the touched calls. Read them again, so that a repeated order returns the effect of the first one."""
    phone = await exchange.phone(order.call_id, customer_id)
    swept = await _swept(exchange, order, phone, customer_id) if order.kind in SWEEPING else []
    told = [call for call in exchange.reports if isinstance(call, Call)]
    now = [*told, *map(seen, swept), *([seen(phone)] if phone else [])]
    return list({call.id: call for call in now}.values())


async def _swept(exchange: Exchange, order: Order, phone: Phone | None, customer_id: str) -> list[Phone]:
    place = phone.call.confbridge_id if phone else None
    bridge = await exchange.bridge(order.confbridge_id or place, customer_id)
    if bridge is None or bridge.conference.is_up:
        return []
    return await phones.ever_in(exchange.connection, bridge.conference.id)
