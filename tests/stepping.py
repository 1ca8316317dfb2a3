"""The house without its own clock and tasks: tests say when a report is heard, an order carried out, time passes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from itertools import count

from sqlalchemy import delete

from app.brokers.memory import MemoryBroker
from app.calls import Calls
from app.dispatch import Dispatch, NotYet
from app.domain.calls import Call
from app.domain.effects import Rules
from app.domain.start import StartRequest
from app.domain.transfer import Transfer
from app.ports import EngineUnavailable, Report, SimulatedCall
from app.recovery import Recovery
from app.storage import transfers as stored
from app.storage.database import Database
from app.storage.tables import metadata
from app.telephony.simulator import Mischief, Simulator
from app.transfers import Transfers
from tests.builders import CUSTOMER, NOON, tel, uid, viewer
from tests.invariants import World

NONE = Mischief()


async def wipe(database: Database) -> None:
    async with database.writing() as connection:
        for one in reversed(metadata.sorted_tables):
            await connection.execute(delete(one))


class Stepping:
    def __init__(self, database: Database, mischief: Mischief = NONE) -> None:
        self.database = database
        self.now = NOON
        self.inbox: list[Report] = []
        self._ids = count()
        broker, rules = MemoryBroker(), Rules()
        self.simulator = Simulator(database, self.clock, mischief, new_id=self._new_id)
        self.calls = Calls(database, broker, self.clock)
        self.transfers = Transfers(database, broker, self.clock, self._new_id, self.simulator.is_up, rules)
        self.dispatch = Dispatch(
            database, broker, self.simulator, self.clock, self.transfers, self.calls, rules, tries=3
        )
        self.recovery = Recovery(
            database, broker, self.simulator, self.clock, self.transfers, self.calls, self.dispatch
        )

    @classmethod
    @asynccontextmanager
    async def in_(cls, database: Database) -> AsyncIterator["Stepping"]:
        """Empty when it is entered. One database serves many houses: statements are compiled once for each."""
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
        self.now += timedelta(microseconds=1)  # no two things happen at once
        return self.now

    def _new_id(self) -> str:
        return uid(f"stepping {next(self._ids)}")

    async def collect(self) -> None:
        """Reports wait in the inbox until they are delivered."""
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
        """Every report, and those that follow from it."""
        await asyncio.sleep(0)
        while self.inbox:
            await self.recovery.hear(self.inbox.pop(-1 if backwards else 0))
            await asyncio.sleep(0)

    async def settle(self) -> None:
        """Everything is heard and carried out."""
        for _ in range(200):
            await self.deliver()
            if not await self._carry_out_some() and not self.inbox:
                return
        raise AssertionError("orders without end")

    async def _carry_out_some(self) -> bool:
        busy = False
        async with self.database.reading() as connection:
            live = await stored.live_ids(connection)
        for transfer_id in live:
            busy |= await self._carry_out_one(transfer_id)
        return busy

    async def _carry_out_one(self, transfer_id: str) -> bool:
        try:
            return await self.dispatch.carry_out_next(transfer_id)
        except (EngineUnavailable, NotYet):
            return True  # it is tried again

    async def pass_(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        await self.simulator.act()
        await self.recovery.expire_due()

    async def check_at_rest(self) -> World:
        world = await World.read(self.database)
        world.check_at_rest()
        return world
