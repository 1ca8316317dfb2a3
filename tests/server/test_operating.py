"""The metrics and the log of a running server, as an operator sees them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

import app.transfers
from app.main import build_house
from app.ports import OrderRefused, utc_now
from app.telephony.simulator.simulator import Simulator
from tests.builders import CUSTOMER
from tests.inside import Inside, inside, settings_in, simulated
from tests.server.lines import Written
from tests.serving import Json
from tests.stories.desk import Desk, Refused

UNHEARD = "no route to +15551234567"


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Inside]:
    async with inside(settings_in(tmp_path)) as served:
        yield served


def figure(served: Inside, name: str, **labels: str) -> float:
    return served.house.metrics.registry.get_sample_value(f"transfers_{name}", labels) or 0


async def ringing(desk: Desk) -> Json:
    transfer = await desk.start(await desk.talk(), "0107", ringTimeout=300)
    await desk.until_rings(transfer)
    return transfer


def fail(*_: object) -> None:
    raise RuntimeError("as the test wants it")


def of(lines: list[Json], event: Callable[[str], bool]) -> Json:
    return next(line for line in lines if event(line["event"]))


async def test_a_refused_command_is_counted_and_logged_with_its_code(served: Inside, written: Written) -> None:
    desk = Desk(served.client())
    transfer = await ringing(desk)
    with pytest.raises(Refused):
        await desk.tell(transfer, "merge")
    assert figure(served, "refusals_total", command="mergeTransfer", code="ILLEGAL_TRANSITION") == 1
    line = written.lines[-1]
    assert (line["event"], line["outcome"], line["refused"]) == ("operation", "ok", "ILLEGAL_TRANSITION")
    assert line["transfer_id"] == transfer["id"]


async def test_an_unknown_transfer_id_is_not_logged(served: Inside, written: Written) -> None:
    with pytest.raises(Refused):
        await Desk(served.client()).tell({"id": "made up"}, "merge")
    assert figure(served, "refusals_total", command="mergeTransfer", code="NOT_FOUND") == 1
    assert "transfer_id" not in written.lines[-1]


async def test_a_simulation_that_is_refused_is_counted(served: Inside) -> None:
    with pytest.raises(Refused):
        await Desk(served.client()).simulate("Answer", "made up")
    assert figure(served, "refusals_total", command="simulateAnswer", code="NOT_FOUND") == 1


async def test_the_lag_of_an_event_includes_the_wait_for_the_database(served: Inside) -> None:
    desk = Desk(served.client())
    transfer = await ringing(desk)
    before = figure(served, "event_lag_seconds_sum")
    async with served.house.database.writing():
        update = asyncio.create_task(desk.tell(transfer, "update", note="patience"))
        await asyncio.sleep(0.5)  # this time is measured
    await update
    assert figure(served, "event_lag_seconds_sum") - before > 0.2


async def test_recovery_is_shown_by_a_metric(tmp_path: Path) -> None:
    house = build_house(settings_in(tmp_path))
    value = house.metrics.registry.get_sample_value
    assert value("transfers_caught_up") == 0
    house.recovery.caught_up.set()
    assert value("transfers_caught_up") == 1
    await house.database.close()


async def test_a_background_fault_is_counted_and_logged_with_its_transfer(
    served: Inside, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    transfer = await ringing(Desk(served.client()))
    monkeypatch.setattr(app.transfers, "sightings", fail)
    await served.house.recovery.catch_up()
    assert figure(served, "background_faults_total") >= 1
    line = of(written.lines, lambda event: event == "out of step")
    assert (line["transfer_id"], line["customer_id"]) == (transfer["id"], CUSTOMER)


class Refusing(Simulator):
    async def carry_out(self, *_: object) -> list[object]:  # type: ignore[override]
        raise OrderRefused(UNHEARD)


async def test_an_order_given_up_is_logged_with_its_transfer_but_not_with_the_words_of_the_engine(
    tmp_path: Path, written: Written
) -> None:
    settings = settings_in(tmp_path)
    house = build_house(settings)
    engine = Refusing(house.database, utc_now, pace=settings.simulator_pace)
    async with inside(settings, database=house.database, engine=simulated(engine)) as served:
        desk = Desk(served.client())
        transfer = await desk.start(await desk.talk(), "0101")
        await desk.until_ended(transfer)
    line = of(written.lines, lambda event: event.startswith("ENGINE_ERROR"))
    assert (line["transfer_id"], line["customer_id"]) == (transfer["id"], CUSTOMER)
    assert not any(UNHEARD in str(one) for one in written.lines)
