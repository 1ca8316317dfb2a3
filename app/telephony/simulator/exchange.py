"""The simulated exchange in one transaction: it changes telephones and bridges, and ends bridges by their rule."""

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.calls import Call, CallHangupBy, CallHangupReason, Conference, ConferenceStatus, ConferenceType
from app.telephony.simulator import bridges, phones
from app.telephony.simulator.behaviour import ENDS, WAITS, Manner, Plan, answered, ended, seen
from app.telephony.simulator.bridges import Bridge
from app.telephony.simulator.phones import Phone

LEAST_PARTIES = {ConferenceType.CONNECT: 2}
"""Least parties of a bridge, by its type. A bridge of another type ends when it is empty."""


@dataclass
class Exchange:
    """Changes phones and bridges. Visible changes go into `reports`, which are sent after the commit.

    A revision counts visible changes. An order that does not change the report of a call is stored, but not reported.
    """

    connection: AsyncConnection
    at: datetime
    pace: float
    reports: list[Call | Conference]
    recalled: Manner = WAITS
    has_new_plan: bool = False

    async def phone(self, call_id: str | None, customer_id: str) -> Phone | None:
        phone = await phones.find(self.connection, call_id) if call_id else None
        return phone if phone and phone.call.customer_id == customer_id else None

    async def bridge(self, conference_id: str | None, customer_id: str) -> Bridge | None:
        bridge = await bridges.find(self.connection, conference_id) if conference_id else None
        return bridge if bridge and bridge.conference.customer_id == customer_id else None

    async def add(self, phone: Phone) -> None:
        await phones.add(self.connection, phone)
        self.reports.append(seen(phone))

    async def add_bridge(self, bridge: Bridge) -> None:
        await bridges.add(self.connection, bridge)
        self.reports.append(bridge.conference)

    async def change(self, before: Phone, after: Phone) -> None:
        if seen(after) != seen(before):
            call = after.call
            moment = max(self.at, call.tm_update)
            after = replace(after, call=replace(call, revision=call.revision + 1, tm_update=moment))
            self.reports.append(seen(after))
        if after != before:
            await phones.replace(self.connection, after)
            self.has_new_plan |= after.tm_plan is not None

    async def keep_alive(self, bridge: Bridge, is_kept_alive: bool) -> None:
        """Set the keep-alive. No report shows it."""
        if bridge.is_kept_alive is not is_kept_alive:
            await bridges.replace(self.connection, replace(bridge, is_kept_alive=is_kept_alive))

    async def end(self, phone: Phone, by: CallHangupBy, reason: CallHangupReason) -> None:
        await self.change(phone, ended(phone, by, reason, self.at))
        await self.settle(phone.call.confbridge_id)

    async def join(self, phone: Phone, bridge: Bridge) -> None:
        left = phone.call.confbridge_id
        await self.change(phone, replace(phone, call=replace(phone.call, confbridge_id=bridge.conference.id)))
        if left != bridge.conference.id:
            await self.settle(left)

    async def settle(self, conference_id: str | None, least: int = 0) -> None:
        """Apply the bridge's own rule: hang up a party that is left alone, then end the bridge.

        `least`: the parties that it needs to go on, if its own rule does not need more.
        """
        bridge = await bridges.find(self.connection, conference_id) if conference_id else None
        if bridge is None or bridge.is_kept_alive or not bridge.conference.is_up:
            return
        left = await phones.up_in(self.connection, bridge.conference.id)
        if len(left) >= max(least, LEAST_PARTIES.get(bridge.conference.type, 1)):
            return
        for phone in left:
            await self.change(phone, ended(phone, CallHangupBy.LOCAL, CallHangupReason.NORMAL, self.at))
        await self._terminate(bridge)

    async def _terminate(self, bridge: Bridge) -> None:
        was = bridge.conference
        moment = max(self.at, was.tm_update)
        conference = replace(
            was, status=ConferenceStatus.TERMINATED, tm_end=moment, tm_update=moment, revision=was.revision + 1
        )
        await bridges.replace(self.connection, replace(bridge, conference=conference))
        self.reports.append(conference)

    async def act(self) -> None:
        """Let the telephone that has been due for longest carry out its plan, as of the time when it was due."""
        phone = await phones.first_due(self.connection, self.at)
        if phone is None or phone.tm_plan is None:
            return
        self.at = phone.tm_plan
        plan = Plan(phone.plan or Plan.HANG_UP)
        if plan in ENDS:
            await self.end(phone, CallHangupBy.REMOTE, ENDS[plan])
        else:
            await self.change(phone, answered(phone, self.at, self.pace))
