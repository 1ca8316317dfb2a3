"""The metrics: what they count, and the limit of their labels."""

import asyncio
import threading
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from re import MULTILINE, findall

import httpx
import pytest

from app.api.execution.document import NAME_LENGTH
from app.domain.calls import MuteDirection
from app.domain.life import Change
from app.domain.orders import Order, OrderKind
from app.domain.steps import Trigger
from app.domain.transfer import Outcome, Reason, Status
from app.main import build_server
from app.ports import EngineUnavailable, OrderRefused
from app.server.metrics import NAMES, NAMES_PER_CUSTOMER, Metrics
from app.settings import Settings
from tests.builders import NOON, TRANSFER, transfer
from tests.inside import settings_in
from tests.serving import SECRET

DIAL = Order(OrderKind.DIAL, mute_direction=MuteDirection.NONE)
SERVER = Path(__file__).parents[2] / "app" / "server" / "README.md"
LATER = NOON + timedelta(seconds=12)


def value(metrics: Metrics, name: str, /, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"transfers_{name}", labels)


def operations(metrics: Metrics, name: str) -> float | None:
    return value(metrics, "operations_total", type="query", name=name, outcome="ok")


def test_operations_are_counted_by_name_and_outcome() -> None:
    metrics = Metrics()
    metrics.ran("query", "Desk", "ok", 0.02)
    metrics.ran("query", "Desk", "FORBIDDEN", 0.001)
    metrics.ran("subscription", "Desk", "ok", None)
    assert operations(metrics, "Desk") == 1
    assert value(metrics, "operations_total", type="query", name="Desk", outcome="FORBIDDEN") == 1
    assert value(metrics, "operation_seconds_count", type="query", name="Desk") == 2
    assert value(metrics, "operation_seconds_count", type="subscription", name="Desk") is None


def test_the_number_of_operation_names_is_limited() -> None:
    metrics = Metrics()
    for number in range(NAMES + 50):
        metrics.ran("query", f"Name{number}", "ok", 0, f"customer {number % 15}")
    assert operations(metrics, f"Name{NAMES - 1}") == 1
    assert operations(metrics, f"Name{NAMES}") is None
    assert operations(metrics, "other") == 50
    metrics.ran("query", "Name0", "ok", 0)
    assert operations(metrics, "Name0") == 2


def test_one_customer_leaves_room_for_the_names_of_others() -> None:
    metrics = Metrics()
    for number in range(NAMES):
        metrics.ran("query", f"Junk{number}", "ok", 0, "a squatter")
    metrics.ran("query", "Desk", "ok", 0, "another")
    assert operations(metrics, "Desk") == 1
    assert operations(metrics, "other") == NAMES - NAMES_PER_CUSTOMER


async def test_names_of_trusted_documents_are_always_shown(tmp_path: Path) -> None:
    (tmp_path / "desk.graphql").write_text("query Desk { viewer { subject } }")
    server = build_server(settings_in(tmp_path, documents=tmp_path))
    metrics = server.house.metrics
    for number in range(2 * NAMES):
        metrics.ran("query", f"Junk{number}", "ok", 0, f"customer {number}")
    metrics.ran("query", "Desk", "ok", 0, "another")
    assert operations(metrics, "Desk") == 1
    await server.house.database.close()


@pytest.mark.parametrize(("name", "outcome"), [("Wrong", "GRAPHQL_VALIDATION_FAILED"), ("x" * (NAME_LENGTH + 1), "ok")])
def test_a_name_that_fails_or_is_long_is_counted_as_other(name: str, outcome: str) -> None:
    metrics = Metrics()
    metrics.ran("query", name, outcome, 0)
    assert value(metrics, "operations_total", type="query", name="other", outcome=outcome) == 1


def test_a_transfer_is_counted_from_start_to_end() -> None:
    metrics = Metrics()
    started = transfer(Status.STARTING)
    ending = replace(started, status=Status.ENDING, outcome=Outcome.FAILED, outcome_reason=Reason.BUSY, tm_update=LATER)
    failed = replace(ending, status=Status.FAILED, tm_end=LATER)
    metrics.changed(Change(None, started, (), None))
    metrics.changed(Change(started, ending, (), Trigger.LEGS_ENDED))
    metrics.changed(Change(ending, failed, (), Trigger.CONFIRMED))
    assert value(metrics, "started_total", type="ATTENDED") == 1
    assert value(metrics, "ended_total", type="ATTENDED", outcome="FAILED", reason="BUSY") == 1
    assert value(metrics, "status_seconds_sum", status="STARTING") == 12
    assert value(metrics, "status_seconds_sum", status="ENDING") == 0


def test_a_change_within_a_status_does_not_restart_its_time() -> None:
    metrics = Metrics()
    ringing = transfer(Status.RINGING)
    noted = replace(ringing, note="x", tm_update=NOON + timedelta(seconds=5))
    consulting = replace(noted, status=Status.CONSULTING, tm_update=LATER)
    metrics.changed(Change(transfer(Status.STARTING), ringing, (), Trigger.CONFIRMED))
    metrics.changed(Change(ringing, noted, (), Trigger.UPDATE))
    metrics.changed(Change(noted, consulting, (), Trigger.ANSWERED))
    assert value(metrics, "status_seconds_sum", status="RINGING") == 12


def test_a_status_taken_before_the_server_started_is_not_measured() -> None:
    metrics = Metrics()
    ringing = transfer(Status.RINGING)
    metrics.changed(Change(ringing, replace(ringing, status=Status.CONSULTING), (), Trigger.ANSWERED))
    assert value(metrics, "status_seconds_count", status="RINGING") is None


@pytest.mark.parametrize(
    ("error", "outcome"), [(None, "confirmed"), (OrderRefused(), "refused"), (EngineUnavailable(), "unanswered")]
)
def test_orders_are_counted_by_outcome(error: Exception | None, outcome: str) -> None:
    metrics = Metrics()
    with pytest.raises(type(error)) if error else nullcontext(), metrics.carrying_out("simulator", DIAL, TRANSFER):
        if error:
            raise error
    assert value(metrics, "orders_total", engine="simulator", kind="DIAL", outcome=outcome) == 1
    assert value(metrics, "order_seconds_count", engine="simulator", kind="DIAL") == 1


def test_orders_given_up_and_an_unavailable_database_are_counted() -> None:
    metrics = Metrics()
    metrics.gave_up("simulator", DIAL)
    metrics.database_unavailable()
    assert value(metrics, "engine_errors_total", engine="simulator", kind="DIAL") == 1
    assert value(metrics, "database_unavailable_total") == 1


def test_live_transfers_are_shown_for_every_status_while_the_database_is_available() -> None:
    metrics = Metrics()
    metrics.take({"RINGING": 3}, 4)
    assert value(metrics, "live", status="RINGING") == 3
    assert value(metrics, "live", status="ENDING") == 0
    assert value(metrics, "orders_waiting") == 4
    metrics.take(None, 0)
    assert value(metrics, "live", status="RINGING") is None
    assert value(metrics, "database_up") == 0


async def page(folder: Path, is_demo: bool = False, **settings: object) -> httpx.Response:
    """Return the page of a server that has not been opened, and so has no database."""
    url = f"sqlite+aiosqlite:///{folder / 'none.sqlite3'}"
    given = Settings(database_url=url, auth_secret=SECRET, **settings)  # type: ignore[arg-type]
    server, before = build_server(given, is_demo), set(threading.enumerate())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(server.app), base_url="http://test") as client:
        response = await client.get("/metrics")
    await server.house.database.close()
    for thread in (
        set(threading.enumerate()) - before
    ):  # a connection that could not be opened still reports to the event loop
        await asyncio.to_thread(thread.join)
    return response


async def test_the_page_is_served_without_a_database_and_says_so(tmp_path: Path) -> None:
    response = await page(tmp_path)
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=")
    lines = response.text.splitlines()
    assert {"transfers_database_up 0.0", "transfers_connections 0.0"} <= set(lines)
    assert 'transfers_engine_up{engine="simulator"} 1.0' in lines
    assert "transfers_database_unavailable_total 1.0" in lines


async def test_the_readme_says_what_to_do_about_every_figure(tmp_path: Path) -> None:
    shown = findall(r"^# TYPE (transfers_\w+)", (await page(tmp_path)).text, MULTILINE)
    assert set(findall(r"^\| `(transfers_\w+)`", SERVER.read_text(), MULTILINE)) == set(shown)


@pytest.mark.parametrize(
    ("settings", "status"),
    [
        ({"metrics": False}, 404),
        ({"host": "0.0.0.0"}, 404),
        ({"host": "0.0.0.0", "metrics": True}, 200),
        ({"host": "0.0.0.0", "is_demo": True}, 200),
    ],
)
async def test_the_page_is_public_only_if_configured(tmp_path: Path, settings: dict[str, object], status: int) -> None:
    assert (await page(tmp_path, **settings)).status_code == status  # type: ignore[arg-type]
