"""Adapters that fail when a test says so: database, engine and broker."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from app.brokers.memory import MemoryBroker
from app.domain.calls import Call
from app.domain.orders import Order
from app.ports import EngineUnavailable, OrderRefused, utc_now
from app.storage.database import Database, DatabaseUnavailable
from app.telephony.simulator.simulator import Simulator


@dataclass
class Trouble:
    """A fault that strikes `lasting` effects, from the `at`-th effect on. `at` 0 strikes none."""

    at: int = 0
    lasting: int = 1
    passed: int = 0

    def strikes(self) -> bool:
        self.passed += 1
        return bool(self.at) and self.at <= self.passed < self.at + self.lasting


class BreakableDatabase(Database):
    """A database whose transactions fail: at their begin, or (`late`) at their commit."""

    trouble = Trouble()
    late = False

    @asynccontextmanager
    async def writing(self, customer_id: str | None = None) -> AsyncIterator[AsyncConnection]:
        struck = self.trouble.strikes()
        if struck and not self.late:
            raise DatabaseUnavailable("as the test wants it")
        async with super().writing(customer_id) as connection:
            yield connection
            if struck:
                raise DatabaseUnavailable("as the test wants it")

    @asynccontextmanager
    async def reading(self, customer_id: str | None = None) -> AsyncIterator[AsyncConnection]:
        if self.trouble.strikes():
            raise DatabaseUnavailable("as the test wants it")
        async with super().reading(customer_id) as connection:
            yield connection


class ForgetfulBroker(MemoryBroker):
    """A broker that drops wake-ups."""

    trouble = Trouble()

    async def wake(self, *topics: str) -> None:
        if not self.trouble.strikes():
            await super().wake(*topics)


class BreakableEngine(Simulator):
    """An engine whose orders fail in a given way."""

    trouble = Trouble()
    mishap: "Mishap"

    async def carry_out(self, order: Order, customer_id: str) -> Sequence[Call]:
        if not self.trouble.strikes():
            return await super().carry_out(order, customer_id)
        return await self.mishap(self, super().carry_out(order, customer_id))


Work = Coroutine[Any, Any, Sequence[Call]]
Mishap = Callable[[BreakableEngine, Work], Work]


async def refused(engine: BreakableEngine, work: Work) -> Sequence[Call]:
    work.close()
    raise OrderRefused("as the test wants it")


async def not_heard(engine: BreakableEngine, work: Work) -> Sequence[Call]:
    work.close()
    raise EngineUnavailable("as the test wants it")


async def not_confirmed(engine: BreakableEngine, work: Work) -> Sequence[Call]:
    await work
    raise EngineUnavailable("as the test wants it")


async def not_answered(engine: BreakableEngine, work: Work) -> Sequence[Call]:
    """Carry out nothing, and never answer."""
    await work
    await asyncio.Event().wait()
    return ()


async def restarted(engine: BreakableEngine, work: Work) -> Sequence[Call]:
    await work
    await engine.restart()
    raise EngineUnavailable("as the test wants it")


async def gone_for_a_while(engine: BreakableEngine, work: Work) -> Sequence[Call]:
    engine.disconnect()
    asyncio.get_running_loop().call_later(0.1, engine.reconnect)
    return await work


class Clock:
    """A clock that a test can advance."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def __call__(self) -> datetime:
        return utc_now() + self._ahead

    def counter(self) -> float:
        """Return the time of the monotonic clock, in seconds."""
        return time.monotonic() + self._ahead.total_seconds()

    def advance(self, seconds: float) -> None:
        self._ahead += timedelta(seconds=seconds)
