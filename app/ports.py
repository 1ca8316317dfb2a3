"""What can't run inside a test, as the rest of the house sees it: telephony and wake-ups; and whoever looks on."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Protocol

from app.domain.addresses import Address
from app.domain.calls import Call, Conference, MuteDirection
from app.domain.life import Change
from app.domain.orders import Order
from app.domain.refusals import RefusalCode

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the time now, by the system's clock."""
    return datetime.now(UTC)


class OrderRefused(Exception):
    """The engine will not do it; to ask again would not help at once."""


class EngineUnavailable(Exception):
    """The engine did not answer; whether it has done it is not known."""


@dataclass(frozen=True, slots=True)
class Reconnected:
    """Reports may have been missed: ask for a snapshot."""


@dataclass(frozen=True, slots=True)
class EngineRestarted:
    """The engine has lost what it knew: every call and bridge of before is gone."""


Report = Call | Conference | Reconnected | EngineRestarted
"""What a call or a bridge is like now, by its `revision`; or word of the engine itself."""


class Telephony(Protocol):
    """A telephone exchange: orders out, reports in. Translation, no decisions."""

    async def carry_out(self, order: Order, customer_id: str) -> Sequence[Call]:
        """Do it, and return the calls that it touched as they are now.

        What is already so, or is about a party, leg or bridge that is gone, is done. Raises OrderRefused or
        EngineUnavailable. The leg of a dial gets the id that the order names before its first report can come.
        """

    def reports(self) -> AsyncIterator[Sequence[Report]]:
        """Endless: whatever has come meanwhile, in its order. It has been heard when the next are asked for.

        Reconnects, then yields Reconnected.
        """

    async def snapshot(
        self, call_ids: Collection[str] = (), conference_ids: Collection[str] = ()
    ) -> Sequence[Call | Conference]:
        """What the engine says now of the calls and bridges that are up, and of these, also where they have ended.

        Of an id that is not among them the engine knows nothing any more. Raises EngineUnavailable.
        """

    async def look_up(
        self, call_ids: Collection[str] = (), conference_ids: Collection[str] = ()
    ) -> Sequence[Call | Conference]:
        """Return what the engine says now of these calls and bridges alone. Raises EngineUnavailable."""

    def is_up(self) -> bool:
        """False while the engine is known to be down."""


class Rejection(StrEnum):
    BUSY = "BUSY"
    DECLINED = "DECLINED"
    NO_ANSWER = "NO_ANSWER"
    UNREACHABLE = "UNREACHABLE"


@dataclass(frozen=True, slots=True)
class SimulatedCall:
    caller_call_id: str
    agent_call_id: str
    conference_id: str


class NoSuchCall(Exception):
    """The simulator has no such call, or it is another customer's."""


class NotNow(Exception):
    """What a call's present state does not allow: to answer what does not ring."""


class Simulation(Protocol):
    """Stands in for the outside world. Each returns when the reports of its effect have been heard.

    The ids are of the simulator's calls. Raises NoSuchCall and NotNow.
    """

    async def call(
        self, customer_id: str, caller: Address, agent: Address, parties: Sequence[Address] = ()
    ) -> SimulatedCall: ...

    async def answer(self, customer_id: str, call_id: str) -> None: ...

    async def reject(self, customer_id: str, call_id: str, reason: Rejection) -> None: ...

    async def hang_up(self, customer_id: str, call_id: str) -> None: ...

    async def hold(
        self, customer_id: str, call_id: str, *, is_on_hold: bool, mute_direction: MuteDirection
    ) -> None: ...


class Broker(Protocol):
    """Wakes those who wait on a topic. It carries no data: the log and the tables are the truth."""

    async def wake(self, *topics: str) -> None: ...

    def listen(self, *topics: str) -> AbstractAsyncContextManager[Callable[[], Awaitable[None]]]:
        """While in it, wake-ups are noted; awaiting the callable returns at the next one since the last await.

        Several wake-ups may come as one.
        """


class Observer(Protocol):
    """Looks on for the operator's sake: figures, traces. It neither fails nor waits."""

    def changed(self, change: Change) -> None:
        """It has been recorded, and its subscribers are about to be told."""

    def told(self, seconds: float) -> None:
        """Subscribers have been woken, so long after the work that changed something was asked for."""

    def refused(self, command: str, code: RefusalCode) -> None:
        """A caller's command, by the field of the API."""

    def carrying_out(self, order: Order, transfer_id: str) -> AbstractContextManager[object]:
        """For as long as the engine takes to answer; left with what it raises."""

    def gave_up(self, order: Order) -> None:
        """The engine refused it, and is not asked again."""

    def database_unavailable(self) -> None: ...

    def faulted(self) -> None:
        """Work that nobody waits for failed by a fault of ours; it is tried again."""


class Nobody:
    """No observer."""

    def changed(self, change: Change) -> None:
        pass

    def told(self, seconds: float) -> None:
        pass

    def refused(self, command: str, code: RefusalCode) -> None:
        pass

    def carrying_out(self, order: Order, transfer_id: str) -> AbstractContextManager[object]:
        return nullcontext()

    def gave_up(self, order: Order) -> None:
        pass

    def database_unavailable(self) -> None:
        pass

    def faulted(self) -> None:
        pass


NOBODY: Observer = Nobody()


async def wake_up_within(wake_up: Callable[[], Awaitable[None]], seconds: float) -> None:
    """At the next wake-up, or after so long: a lost one delays, and does no more."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await wake_up()
