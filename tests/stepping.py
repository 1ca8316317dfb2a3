"""The use cases without a clock and tasks of their own: tests process reports, carry out orders and advance time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from sqlalchemy import delete

from app.brokers.memory import MemoryBroker
from app.calls import Calls
from app.dispatch import Dispatch, NotYet
from app.domain.calls import Call
from app.domain.effects import Rules
from app.domain.orders import Order
from app.domain.start import StartRequest
from app.domain.transfer import Transfer
from app.ports import EngineUnavailable, OrderRefused, Report, SimulatedCall
from app.recovery import Recovery
from app.storage import orders
from app.storage import transfers as stored
from app.storage.columns import metadata
from app.storage.database import Database
from app.telephony.simulator.simulator import Mischief, Simulator
from app.timers import Timers
from app.transfers import Transfers
from tests.builders import CUSTOMER, NOON, tel, uid, viewer
from tests.invariants import World

NONE = Mischief()


async def wipe(database: Database) -> None:
    async with database.writing() as connection:
        for one in reversed(metadata.sorted_tables):
            await connection.execute(delete(one))


class Choosy(Simulator):
    """A simulator that refuses the orders that a test selects."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.refuses: Callable[[Order], bool] = lambda order: False

    async def carry_out(self, order: Order, customer_id: str) -> Sequence[Call]:
        if self.refuses(order):
            raise OrderRefused("as the test wants it")
        return await super().carry_out(order, customer_id)


class Stepping:
    def __init__(self, database: Database, mischief: Mischief = NONE) -> None:
        self.database = database
        self.now = NOON
        self.set_ahead = timedelta()
        self.inbox: list[Report] = []
        self._ids = count()
        self.broker = broker = MemoryBroker()
        rules = Rules()
        self.simulator = Choosy(database, self.counted, mischief, new_id=self._new_id)
        self.calls = Calls(database, broker, self.clock)
        self.transfers = Transfers(
            database,
            broker,
            self.clock,
            self._new_id,
            self.simulator.is_up,
            rules,
            Timers(self.counter),
            start_seconds=0,  # no task carries out orders, so a start must not wait for them
        )
        self.dispatch = Dispatch(
            database, broker, self.simulator, self.clock, self.transfers, self.calls, rules, tries=3
        )
        self.recovery = Recovery(
            database, broker, self.simulator, self.clock, self.transfers, self.calls, self.dispatch
        )

    @classmethod
    @asynccontextmanager
    async def in_(cls, database: Database) -> AsyncIterator["Stepping"]:
        """Empty the database and open a house on it. Sharing one database saves time: it caches compiled statements."""
        await wipe(database)
        house = cls(database)
        collector = asyncio.create_task(house.collect())
        try:
            yield house
        finally:
            collector.cancel()
            with suppress(asyncio.CancelledError):
                await collector

    def clock(self) -> datetime:
        """Return the time of the wall clock."""
        return self.counted() + self.set_ahead

    def counted(self) -> datetime:
        """Return the time that has passed. Changes of the wall clock don't affect it."""
        self.now += timedelta(microseconds=1)  # each event has a time of its own
        return self.now

    def counter(self) -> float:
        """Return the time of the monotonic clock, in seconds."""
        return (self.now - NOON).total_seconds()

    def _new_id(self) -> str:
        return uid(f"stepping {next(self._ids)}")

    async def collect(self) -> None:
        """Put reports into the inbox, where they wait for `deliver`."""
        async for reports in self.simulator.reports():
            self.inbox.extend(reports)

    async def talk(self, *parties: str) -> SimulatedCall:
        made = await self.simulator.call(
            CUSTOMER, tel("+15551000001"), tel("+15551000002"), [tel(party) for party in parties]
        )
        await self.deliver()
        return made

    async def start(self, request: StartRequest) -> Transfer:
        return await self.transfers.start(viewer(), request)

    async def tell(self, command: Awaitable[Transfer]) -> Transfer:
        """Run a swap or merge, and carry out the orders that it waits for."""
        waiting = asyncio.ensure_future(command)
        while not (await asyncio.wait([waiting], timeout=0.01))[0]:
            await self.settle()
        return await waiting

    async def see(self, transfer_id: str) -> Transfer:
        async with self.database.reading() as connection:
            found = await stored.by_id(connection, transfer_id)
        assert found
        return found

    async def call(self, call_id: str) -> Call:
        (found,) = [one for one in await self.simulator.snapshot([call_id]) if getattr(one, "id", None) == call_id]
        assert isinstance(found, Call)
        return found

    async def deliver(self, *, backwards: bool = False) -> None:
        """Process all reports, and those that follow from them."""
        await asyncio.sleep(0)
        while self.inbox:
            await self.recovery.hear(self.inbox.pop(-1 if backwards else 0))
            await asyncio.sleep(0)

    async def settle(self) -> None:
        """Process all reports and carry out all orders, until none is left."""
        for _ in range(200):
            await self.deliver()
            if not await self._carry_out_some() and not self.inbox:
                return
        raise AssertionError("orders without end")

    async def _carry_out_some(self) -> bool:
        busy = False
        async with self.database.reading() as connection:
            waiting = await orders.with_waiting(connection)
        for transfer_id in waiting:
            busy |= await self._carry_out_one(transfer_id)
        return busy

    async def _carry_out_one(self, transfer_id: str) -> bool:
        try:
            return await self.dispatch.carry_out_next(transfer_id)
        except (EngineUnavailable, NotYet):
            return True  # the order is retried

    async def pass_(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        await self.simulator.act()
        await self.recovery.expire_due()

    async def check_at_rest(self) -> World:
        world = await World.read(self.database)
        world.check_at_rest()
        return world
