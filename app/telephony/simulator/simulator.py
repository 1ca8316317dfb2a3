"""The embedded telephony engine: a telephone exchange whose telephones are stored in the database."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from random import Random
from typing import TypeVar
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.addresses import Address
from app.domain.calls import Call, Conference, MuteDirection
from app.domain.orders import Order
from app.ports import (
    Clock,
    EngineRestarted,
    EngineUnavailable,
    OrderRefused,
    Reconnected,
    Rejection,
    Report,
    SimulatedCall,
)
from app.storage.database import Database, DatabaseUnavailable
from app.telephony.simulator import bridges, orders, outside, phones
from app.telephony.simulator.behaviour import WAITS, Manner, seen
from app.telephony.simulator.exchange import Exchange
from app.telephony.simulator.reporting import Reporting

logger = logging.getLogger(__name__)

RETRY_SECONDS = 1.0

Result = TypeVar("Result")
Effect = Callable[[Exchange], Awaitable[Result]]


@dataclass(frozen=True, slots=True)
class Mischief:
    """The faults that the simulator makes. Rates are from 0 to 1, and the same seed makes the same faults."""

    seed: int = 0
    delay: float = 0.0
    """Most seconds that a report is late. Each has a delay of its own, so reports also change their order."""
    duplicate_rate: float = 0.0
    refuse_rate: float = 0.0
    unavailable_rate: float = 0.0
    """Share of orders that get no answer. Half of them are carried out all the same."""


class Simulator:
    """Implements both ports, Telephony and Simulation. `run` lets the telephones carry out their plans.

    `pace`: the speed of telephones; at 10 they take a tenth of their time.
    `recalled`: the reaction of a transferer's telephone to a recall; by default it rings until it is answered or ended.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        mischief: Mischief = Mischief(),
        pace: float = 1.0,
        new_id: Callable[[], str] = lambda: str(uuid4()),
        recalled: Manner = WAITS,
    ) -> None:
        self._database = database
        self._clock = clock
        self._mischief = mischief
        self._pace = pace
        self._new_id = new_id
        self._recalled = recalled
        self._random = Random(mischief.seed)
        self._reporting = Reporting(mischief.seed, mischief.delay, mischief.duplicate_rate)
        self._planned = asyncio.Event()
        self._is_up = True

    # --- Telephony

    @property
    def name(self) -> str:
        return "simulator"

    async def carry_out(self, order: Order, customer_id: str) -> Sequence[Call]:
        self._check_up()
        fails_before, fails_after = self._luck()
        if fails_before:
            raise fails_before
        try:
            calls, _ = await self._change(partial(orders.carry_out, order=order, customer_id=customer_id))
        except DatabaseUnavailable as error:
            raise EngineUnavailable("The simulator's database did not take the order.") from error
        if fails_after:
            raise fails_after
        return calls

    def reports(self) -> AsyncIterator[Sequence[Report]]:
        return self._reporting.hear()

    async def snapshot(
        self, call_ids: Collection[str] = (), conference_ids: Collection[str] = ()
    ) -> Sequence[Call | Conference]:
        async with self._reading() as connection:
            conferences = await bridges.up_or_of(connection, conference_ids)
            calls = await phones.up_or_of(connection, call_ids)
        return [*(bridge.conference for bridge in conferences), *map(seen, calls)]

    async def look_up(
        self, call_ids: Collection[str] = (), conference_ids: Collection[str] = ()
    ) -> Sequence[Call | Conference]:
        async with self._reading() as connection:
            conferences = await bridges.of(connection, conference_ids)
            calls = await phones.of(connection, call_ids)
        return [*(bridge.conference for bridge in conferences), *map(seen, calls)]

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction to read, after the telephones have done what was due while the server was down."""
        self._check_up()
        try:
            await self.act()
            async with self._database.reading() as connection:
                yield connection
        except DatabaseUnavailable as error:
            raise EngineUnavailable("The simulator's database did not answer.") from error

    def is_up(self) -> bool:
        return self._is_up

    # --- Simulation

    async def call(
        self, customer_id: str, caller: Address, agent: Address, parties: Sequence[Address] = ()
    ) -> SimulatedCall:
        return await self._simulate(
            customer_id, outside.connect, caller=caller, agent=agent, parties=parties, new_id=self._new_id
        )

    async def answer(self, customer_id: str, call_id: str) -> None:
        await self._simulate(customer_id, outside.answer, call_id=call_id)

    async def reject(self, customer_id: str, call_id: str, reason: Rejection) -> None:
        await self._simulate(customer_id, outside.reject, call_id=call_id, reason=reason)

    async def hang_up(self, customer_id: str, call_id: str) -> None:
        await self._simulate(customer_id, outside.hang_up, call_id=call_id)

    async def hold(self, customer_id: str, call_id: str, *, is_on_hold: bool, mute_direction: MuteDirection) -> None:
        await self._simulate(
            customer_id, outside.hold, call_id=call_id, is_on_hold=is_on_hold, mute_direction=mute_direction
        )

    # --- plans of telephones

    async def run(self) -> None:
        """Let the telephones carry out their plans when they are due, until cancelled."""
        while True:
            self._planned.clear()
            try:
                due = await self.act()
            except DatabaseUnavailable as error:
                logger.warning("The simulator's telephones can't act now: %s", error)
                await asyncio.sleep(RETRY_SECONDS)
            else:
                await self._wait(due)

    async def act(self) -> datetime | None:
        """Let every due telephone carry out its plan. Return when the next one is due."""
        while (due := await self._next_plan()) and due <= self._clock():
            await self._change(Exchange.act)
        return due

    async def _next_plan(self) -> datetime | None:
        async with self._database.reading() as connection:
            return await phones.next_plan(connection)

    async def _wait(self, due: datetime | None) -> None:
        seconds = max(0.0, (due - self._clock()).total_seconds()) if due else None
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._planned.wait()

    # --- faults

    def disconnect(self) -> None:
        """Behave as an engine that is down: orders fail, and reports are lost. Its telephones go on."""
        self._is_up = False

    def reconnect(self) -> None:
        self._is_up = True
        self._reporting.tell(Reconnected())

    async def restart(self) -> None:
        """Behave as an engine that has started again: every call and bridge is gone."""
        async with self._database.writing() as connection:
            await phones.forget_all(connection)
            await bridges.forget_all(connection)
        self._reporting.tell(EngineRestarted())

    def _check_up(self) -> None:
        if not self._is_up:
            raise EngineUnavailable("The simulator has been told to be down.")

    def _luck(self) -> tuple[Exception | None, Exception | None]:
        """Return the fault of an order: one before it is carried out, and one after."""
        roll = self._random.random()
        refused = self._mischief.refuse_rate
        lost = self._mischief.unavailable_rate / 2
        if roll < refused:
            return OrderRefused("The simulator refuses some orders, as it was told."), None
        if roll < refused + lost:
            return EngineUnavailable("The simulator did not hear the order, as it was told."), None
        if roll < refused + 2 * lost:
            return None, EngineUnavailable("The simulator did not confirm the order, as it was told.")
        return None, None

    # --- one effect, one transaction

    async def _simulate(self, customer_id: str, effect: Callable[..., Awaitable[Result]], **about: object) -> Result:
        """Carry out an effect that a client asks for, and wait until its reports have been heard."""
        result, told = await self._change(partial(effect, customer_id=customer_id, **about), customer_id)
        for heard in told:
            await heard.wait()
        return result

    async def _change(
        self, effect: Effect[Result], customer_id: str | None = None
    ) -> tuple[Result, list[asyncio.Event]]:
        reports: list[Call | Conference] = []
        try:
            async with self._database.writing(customer_id) as connection:
                exchange = Exchange(connection, self._clock(), self._pace, reports, self._recalled)
                result = await effect(exchange)
        except asyncio.CancelledError:
            if reports:
                self._reporting.tell(Reconnected())  # it may be committed but not reported: ask for a snapshot
            raise
        if exchange.has_new_plan:
            self._planned.set()
        return result, [self._reporting.tell(report) for report in reports] if self._is_up else []
