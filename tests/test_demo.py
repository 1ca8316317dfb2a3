"""The demo always has a call that can be transferred."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app.demo import AGENTS, CUSTOMER
from app.domain.addresses import Address, AddressType
from app.domain.calls import Call
from app.domain.start import StartRequest
from app.domain.transfer import Disposition, Status, Transfer, Type
from app.main import House, build_server
from app.settings import Settings
from app.storage import transfers
from tests.builders import viewer

DESK = viewer(CUSTOMER)


@asynccontextmanager
async def demo(folder: Path) -> AsyncIterator[House]:
    settings = Settings(database_url=f"sqlite+aiosqlite:///{folder / 'transfers.sqlite3'}", simulator_pace=100)
    server = build_server(settings, is_demo=True)
    async with server.app.router.lifespan_context(server.app), asyncio.timeout(20):
        yield server.house


async def transferable(house: House) -> list[Call]:
    return await house.calls.transferable(CUSTOMER, [agent.target for agent in AGENTS])


async def start(house: House, call: Call, number: str, type_: Type = Type.ATTENDED) -> Transfer:
    to = Address(AddressType.TEL, f"+1202555{number}")
    return await house.transfers.start(DESK, StartRequest(type_, call.id, (to,)))


async def until_transferable(house: House) -> list[Call]:
    async with house.broker.listen(f"calls:{CUSTOMER}", f"transfers:{CUSTOMER}") as wake_up:
        while not (found := await transferable(house)):
            await wake_up()
    return found


async def until(house: House, t: Transfer, status: Status) -> Transfer:
    async with house.broker.listen(f"transfers:{CUSTOMER}") as wake_up:
        while True:
            async with house.database.reading() as connection:
                found = await transfers.by_id(connection, t.id)
            if found and found.status is status:
                return found
            await wake_up()


async def test_a_first_demo_has_two_calls_to_transfer(tmp_path: Path) -> None:
    async with demo(tmp_path) as house:
        agents = [call.destination.name for call in await transferable(house)]
    assert agents == ["Alice", "Bob"]


async def test_when_every_call_is_in_a_transfer_new_ones_are_placed_and_it_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with demo(tmp_path) as house:
        caplog.set_level(logging.INFO, "app.demo")
        for call in await transferable(house):
            await start(house, call, "0107")
        found = await until_transferable(house)
    assert found[0].source.name == "Caller 3"
    assert "the demo places one: Caller 3 talks with Alice" in caplog.text


async def test_when_every_call_has_been_transferred_new_ones_are_placed(tmp_path: Path) -> None:
    async with demo(tmp_path) as house:
        first = await transferable(house)
        for call in first:
            await until(house, await start(house, call, "0101", Type.BLIND), Status.COMPLETED)
        found = await until_transferable(house)
    assert {call.id for call in found}.isdisjoint(call.id for call in first)


async def test_after_a_restart_the_calls_that_are_left_are_enough(tmp_path: Path) -> None:
    async with demo(tmp_path) as house:
        first, second = await transferable(house)
        await start(house, first, "0107")
    async with demo(tmp_path) as house:
        assert [call.id for call in await transferable(house)] == [second.id]


async def test_a_transferer_who_is_rung_back_answers_by_themselves(tmp_path: Path) -> None:
    async with demo(tmp_path) as house:
        call, _ = await transferable(house)
        t = await start(house, call, "0107", Type.BLIND)
        await until(house, t, Status.TRANSFERRING)
        await house.transfers.cancel(DESK, t.id)
        ended = await until(house, t, Status.FAILED)
    assert ended.disposition is Disposition.RECALLED
