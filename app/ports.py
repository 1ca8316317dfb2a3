"""The ports: a telephony engine, a simulation, a broker of wake-ups, and an observer. Their adapters are elsewhere."""

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
    """The engine refuses the order. Asking again at once would not help."""


class EngineUnavailable(Exception):
    """The engine did not answer. It may or may not have carried out the order."""


@dataclass(frozen=True, slots=True)
class Reconnected:
    """The connection to the engine was lost and is back. Reports may be missing: ask for a snapshot."""


@dataclass(frozen=True, slots=True)
class EngineRestarted:
    """The engine has started again, and every earlier call and bridge is gone."""


Report = Call | Conference | Reconnected | EngineRestarted
"""The present state of a call or a bridge, ordered by its `revision`; or news of the engine itself."""


class Telephony(Protocol):
    """A telephony engine: it takes orders and yields reports. It translates, and decides nothing."""

    @property
    def name(self) -> str:
        """Return the engine's name in settings, logs and metrics."""

    async def run(self) -> None:
        """Do the engine's own background work, such as its connection, until it is cancelled."""

    async def carry_out(self, order: Order, customer_id: str) -> Sequence[Call]:
        """Carry out the order, and return the calls that it touched as they are now.

        An order whose effect is there already succeeds, and so does an order about a party, leg or bridge that is
        gone. The leg of a dial has the id that the order names, before the first report of the leg can come. Raises
        OrderRefused or EngineUnavailable.
        """

    def reports(self) -> AsyncIterator[Sequence[Report]]:
        """Yield batches of reports in order, without end. Asking for the next batch acknowledges this one.

        After a lost connection the iterator connects again and yields Reconnected.
        """

    async def snapshot(
        self, call_ids: Collection[str] = (), conference_ids: Collection[str] = ()
    ) -> Sequence[Call | Conference]:
        """Return every call and bridge that is up, and these ones, even if they have ended.

        The engine no longer knows an id that is missing from the result. Raises EngineUnavailable.
        """

    async def look_up(
        self, call_ids: Collection[str] = (), conference_ids: Collection[str] = ()
    ) -> Sequence[Call | Conference]:
        """Return these calls and bridges as they are now. Raises EngineUnavailable."""

    def is_up(self) -> bool:
        """Return False while the engine is known to be down."""


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
    """The present state of the call does not allow the effect: a call that does not ring can't be answered."""


class Simulation(Protocol):
    """The people and telephones outside, for engines that simulate them.

    Each method returns when the reports of its effect have been heard. The ids are those of simulated calls. Methods
    raise NoSuchCall and NotNow.
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


@dataclass(frozen=True, slots=True)
class Engine:
    """A telephony engine as main.py builds it."""

    telephony: Telephony
    simulation: Simulation | None = None
    """None for an engine that connects real telephones."""


class Broker(Protocol):
    """Wakes the tasks that listen to a topic. It carries no data: the event log and the tables hold the truth."""

    async def wake(self, *topics: str) -> None: ...

    def listen(self, *topics: str) -> AbstractAsyncContextManager[Callable[[], Awaitable[None]]]:
        """Note wake-ups of these topics while the block runs.

        Awaiting the callable returns at the first wake-up since it was last awaited. Several may come as one.
        """


class Observer(Protocol):
    """Watches for the operator: metrics and traces. Its methods neither raise nor wait."""

    def changed(self, change: Change) -> None:
        """Note a change that is recorded. Its subscribers are woken next."""

    def told(self, seconds: float) -> None:
        """Note that subscribers have been woken, this long after the change was asked for."""

    def refused(self, command: str, code: RefusalCode) -> None:
        """Note a refused command. `command` is its field in the API."""

    def carrying_out(self, engine: str, order: Order, transfer_id: str) -> AbstractContextManager[object]:
        """Return a block that lasts until the engine of this name answers, and that sees what the engine raises."""

    def gave_up(self, engine: str, order: Order) -> None:
        """Note an order that the engine refused and that is not tried again."""

    def database_unavailable(self) -> None: ...

    def faulted(self) -> None:
        """Note background work that failed because of a bug. It is tried again."""


class Nobody:
    """The observer that does nothing."""

    def changed(self, change: Change) -> None:
        pass

    def told(self, seconds: float) -> None:
        pass

    def refused(self, command: str, code: RefusalCode) -> None:
        pass

    def carrying_out(self, engine: str, order: Order, transfer_id: str) -> AbstractContextManager[object]:
        return nullcontext()

    def gave_up(self, engine: str, order: Order) -> None:
        pass

    def database_unavailable(self) -> None:
        pass

    def faulted(self) -> None:
        pass


NOBODY: Observer = Nobody()


async def wake_up_within(wake_up: Callable[[], Awaitable[None]], seconds: float) -> None:
    """Return at the next wake-up, or after these seconds. So a lost wake-up only costs time."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await wake_up()
