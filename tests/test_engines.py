"""What it takes to add an engine: main.py starts any engine alike, and logs and metrics carry its name."""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from pathlib import Path
from typing import get_args

import pytest

from app.domain.calls import Call, Conference
from app.domain.orders import Order
from app.main import ENGINES, build_house, build_server
from app.ports import Engine, EngineUnavailable, Report
from app.settings import Settings
from tests.inside import inside, settings_in
from tests.server.lines import Written
from tests.serving import Client

log = logging.getLogger("hardware")

SIMULATE = """
mutation ($caller: AddressInput!) {
  simulateCall(input: {caller: $caller, agent: $caller}) { userErrors { code } }
}
"""


class Hardware:
    """A telephone exchange with real telephones, which is away."""

    name = "hardware"

    def __init__(self) -> None:
        self.is_running = asyncio.Event()

    async def run(self) -> None:
        self.is_running.set()
        await asyncio.Event().wait()

    async def carry_out(self, order: Order, customer_id: str) -> Sequence[Call]:
        raise EngineUnavailable

    async def reports(self) -> AsyncIterator[Sequence[Report]]:
        yield await asyncio.get_running_loop().create_future()

    async def snapshot(
        self, call_ids: Collection[str] = (), conference_ids: Collection[str] = ()
    ) -> Sequence[Call | Conference]:
        log.info("asked for a snapshot")
        return []

    async def look_up(
        self, call_ids: Collection[str] = (), conference_ids: Collection[str] = ()
    ) -> Sequence[Call | Conference]:
        return []

    def is_up(self) -> bool:
        return False


@pytest.fixture
def written() -> Iterator[Written]:
    written = Written()
    log.addHandler(written)
    log.setLevel(logging.INFO)
    yield written
    log.removeHandler(written)


def test_each_engine_that_an_operator_can_choose_can_be_built() -> None:
    assert set(get_args(Settings.model_fields["telephony"].annotation)) == set(ENGINES)


@pytest.mark.parametrize("name", ENGINES)
async def test_an_engine_is_called_what_the_settings_call_it(name: str, tmp_path: Path) -> None:
    house = build_house(settings_in(tmp_path, telephony=name))
    assert house.telephony.name == name
    await house.database.close()


async def test_an_engine_lives_as_long_as_the_server(tmp_path: Path) -> None:
    hardware = Hardware()
    async with inside(settings_in(tmp_path), engine=Engine(hardware)), asyncio.timeout(10):
        await hardware.is_running.wait()


async def test_on_an_engine_with_real_telephones_nothing_is_simulated(tmp_path: Path) -> None:
    async with inside(settings_in(tmp_path), engine=Engine(Hardware())) as served:
        client: Client = served.client()
        answer = await client.ask(SIMULATE, caller={"type": "TEL", "target": "+15550001111"})
    assert [error["code"] for error in answer["simulateCall"]["userErrors"]] == ["NOT_SIMULATED"]


async def test_a_demo_needs_an_engine_that_simulates(tmp_path: Path) -> None:
    house = build_house(settings_in(tmp_path), engine=Engine(Hardware()))
    with pytest.raises(ValueError, match="the engine hardware can't simulate"):
        build_server(house.settings, is_demo=True, house=house)
    await house.database.close()


async def test_metrics_of_the_engine_carry_its_name(tmp_path: Path) -> None:
    house = build_house(settings_in(tmp_path), engine=Engine(Hardware()))
    assert house.metrics.registry.get_sample_value("transfers_engine_up", {"engine": "hardware"}) == 0
    await house.database.close()


async def test_log_lines_about_what_the_engine_tells_carry_its_name(tmp_path: Path, written: Written) -> None:
    async with inside(settings_in(tmp_path), engine=Engine(Hardware())):
        pass
    assert [(line["event"], line["engine"]) for line in written.lines] == [("asked for a snapshot", "hardware")]
