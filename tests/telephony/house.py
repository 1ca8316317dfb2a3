"""An engine under test, and what is heard of it. Its destinations behave by their numbers, on a short scale of time."""

from dataclasses import dataclass
from typing import Protocol
from uuid import uuid4

from app.domain.addresses import Address, AddressType
from app.domain.calls import (
    Call,
    CallStatus,
    Conference,
    MuteDirection,
)
from app.domain.orders import Order, OrderKind
from app.ports import SimulatedCall, Simulation, Telephony
from tests.telephony.listening import Listener

CUSTOMER = str(uuid4())
STRANGER = str(uuid4())
CALLER = Address(AddressType.TEL, "+15550001111")
AGENT = Address(AddressType.AGENT, "6a93f71e-f542-11ee-9a6e-aaaaaaaaaaaa")
PARTY = Address(AddressType.EXTENSION, "2001")
NONE, IN, OUT, BOTH = MuteDirection.NONE, MuteDirection.IN, MuteDirection.OUT, MuteDirection.BOTH


class Engine(Telephony, Simulation, Protocol):
    """Both ports in one."""


def tel(number: str) -> Address:
    return Address(AddressType.TEL, f"+1555000{number}")


def is_ringing(call: Call) -> bool:
    return call.status is CallStatus.RINGING


def is_talking(call: Call) -> bool:
    return call.status is CallStatus.PROGRESSING


def has_ended(call: Call) -> bool:
    return call.status is CallStatus.HANGUP


@dataclass(frozen=True)
class House:
    """An engine, what is heard of it, and a shorter way to say things."""

    engine: Engine
    heard: Listener

    async def order(self, kind: OrderKind, call_id: str | None = None, bridge: str | None = None) -> list[Call]:
        touched = await self.engine.carry_out(Order(kind, call_id, bridge), CUSTOMER)
        return sorted(touched, key=lambda call: call.id)

    async def dial(self, destination: Address, *, is_recall: bool = False) -> str:
        leg = str(uuid4())
        await self.engine.carry_out(dial_order(leg, destination, is_recall=is_recall), CUSTOMER)
        return leg

    async def talk(self, *parties: Address) -> SimulatedCall:
        return await self.engine.call(CUSTOMER, CALLER, AGENT, parties)

    async def answered(self, destination: Address) -> str:
        leg = await self.dial(destination)
        await self.heard.call(leg, is_talking)
        return leg

    async def ringing(self) -> str:
        leg = await self.dial(tel("0107"))
        await self.heard.call(leg, is_ringing)
        return leg

    async def until_ended(self, bridge: str) -> Conference:
        await self.heard.until(lambda: not self.heard.bridges[bridge].is_up)
        return self.heard.bridges[bridge]


def dial_order(leg: str, destination: Address, *, is_recall: bool = False) -> Order:
    groupcall = None if is_recall else str(uuid4())
    return Order(OrderKind.DIAL, leg, groupcall_id=groupcall, source=CALLER, destination=destination)


def private(call: Call) -> tuple[bool, MuteDirection]:
    return call.is_on_hold, call.mute_direction
