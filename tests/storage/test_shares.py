"""A customer with much work waits for their own share of the database. Other customers don't wait."""

import asyncio
from contextlib import AsyncExitStack

from app.brokers.memory import MemoryBroker
from app.calls import AT_ONCE, Calls
from app.ports import utc_now
from app.storage.database import READERS, READS, WRITES, Database
from tests.builders import call, uid


async def test_one_who_writes_much_keeps_nobody_else_waiting(database: Database) -> None:
    written = list[str]()

    async def write(customer_id: str) -> None:
        async with database.writing(customer_id):
            written.append(customer_id)

    async with database.writing():
        much = [asyncio.create_task(write("much")) for _ in range(50)]
        await asyncio.sleep(0)  # let the tasks request their shares
        little = asyncio.create_task(write("little"))
        await asyncio.sleep(0)
    await asyncio.gather(*much, little)
    assert written.index("little") == WRITES


async def test_nor_does_one_who_reads_much(database: Database) -> None:
    async def read(customer_id: str | None) -> None:
        async with database.reading(customer_id):
            pass

    assert READS < READERS
    async with AsyncExitStack() as held, asyncio.timeout(5):
        for _ in range(READS):
            await held.enter_async_context(database.reading("much"))
        more = asyncio.create_task(read("much"))
        await read("little")
        await read(None)
        assert not more.done()
        await held.aclose()
        await more


async def test_many_reports_leave_others_their_turn_to_write(database: Database) -> None:
    calls = Calls(database, MemoryBroker(), utc_now)
    many = [call(uid(f"call {number}")) for number in range(AT_ONCE + 1)]
    hearing = asyncio.create_task(calls.hear(*many))
    await asyncio.sleep(0)
    async with database.writing():
        assert not hearing.done()
    await hearing
    assert len((await calls.live())[0]) == len(many)
