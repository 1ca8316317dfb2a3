"""The embedded telephony engine: a telephone exchange whose telephones live in the database and outlast the server."""

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
    """How far the simulator behaves as a bad day does. Rates are from 0 to 1; the same seed, the same bad luck."""

    seed: int = 0
    delay: float = 0.0
    """A report is late by at most so many seconds, each by its own time: so they also change places."""
    duplicate_rate: float = 0.0
    refuse_rate: float = 0.0
    unavailable_rate: float = 0.0
    """In half of these cases the order has been carried out all the same."""


class Simulator:
    """Both ports, Telephony and Simulation, in one. `run` lets the telephones act by themselves.

    `pace` is how fast telephones act: at 10 they take a tenth of their time.
    `recalled` is what a transferer's telephone does when it is rung back; by default it rings until somebody acts.
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
        """First let the telephones do what they are due to do: while the server was down, they could not."""
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

    # --- telephones that act by themselves

    async def run(self) -> None:
        """Endless: sleeps until the next telephone is due."""
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
        """Let every telephone do what it is due to do by now; when the next one is due."""
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

    # --- bad days

    def disconnect(self) -> None:
        """The engine is known to be down: orders fail, reports are lost. Its telephones go on."""
        self._is_up = False

    def reconnect(self) -> None:
        self._is_up = True
        self._reporting.tell(Reconnected())

    async def restart(self) -> None:
        """The engine loses every call and bridge."""
        async with self._database.writing() as connection:
            await phones.forget_all(connection)
            await bridges.forget_all(connection)
        self._reporting.tell(EngineRestarted())

    def _check_up(self) -> None:
        if not self._is_up:
            raise EngineUnavailable("The simulator has been told to be down.")

    def _luck(self) -> tuple[Exception | None, Exception | None]:
        """What goes wrong with an order, before it is carried out or after."""
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
        """What a client lets happen."""
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
                self._reporting.tell(Reconnected())  # perhaps committed, and not told: ask for a snapshot
            raise
        if exchange.has_new_plan:
            self._planned.set()
        return result, [self._reporting.tell(report) for report in reports] if self._is_up else []
