"""A database that is locked, full, damaged or gone: clients get an error, and no work is lost."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from shutil import copy

import httpx
import psutil
import pytest
from sqlalchemy.engine import make_url
from websockets.exceptions import ConnectionClosed

from app.storage.database import Database
from tests.faults.breakable import BreakableDatabase, Trouble
from tests.faults.patient import PatientClient, PatientDesk
from tests.inside import Inside, inside, settings_in
from tests.invariants import World
from tests.serving import TLS, Client, Failed, serving, token
from tests.stories.desk import Desk, ending

pytestmark = pytest.mark.slow
PAGE = "{ transfers(first: 1) { eventCursor } }"
CALL = """mutation {
    simulateCall(input: {caller: {type: TEL, target: "+15551230001"}, agent: {type: TEL, target: "+15551230002"}}) {
        userErrors { code }
    }
}"""
EVENTS = "subscription ($after: String) { transferEvents(after: $after) { cursor transferId version } }"


@asynccontextmanager
async def impatient(folder: Path) -> AsyncIterator[Inside]:
    """Run a server that waits only briefly for locks."""
    settings = settings_in(folder)
    async with inside(settings, database=Database(settings.url, busy_seconds=0.5)) as served:
        yield served


@asynccontextmanager
async def locked(database: Database) -> AsyncIterator[None]:
    """Hold the write lock, as another process would."""
    other = sqlite3.connect(str(make_url(database.url).database), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


async def endlessly(work: Callable[[], Awaitable[object]]) -> None:
    while True:
        await work()


async def is_ready(url: str) -> bool:
    async with httpx.AsyncClient(verify=TLS) as http:
        answer = await http.get(f"{url}/readyz", timeout=30)
    assert answer.status_code in (200, 503)
    assert ("retry-after" in answer.headers) is (answer.status_code == 503)
    return answer.status_code == 200


async def until_ready(url: str) -> None:
    """Poll until the server is ready: nothing signals that moment."""
    async with asyncio.timeout(20):
        while not await is_ready(url):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def assert_told_to_come_again(client: Client, query: str) -> None:
    async with httpx.AsyncClient(verify=TLS, timeout=30) as http:
        answer = await client.post(http, query, {})
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["extensions"]["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert answer.headers["retry-after"] == "1"
    assert "data" not in answer.json()
    assert "sql" not in answer.text.lower()


async def test_while_somebody_else_writes_nothing_is_taken_and_all_can_be_read(tmp_path: Path) -> None:
    async with impatient(tmp_path) as served:
        client, desk = served.client(), Desk(served.client())
        talk = await desk.talk()
        t = await desk.start(talk, "0107")
        await desk.until_rings(t)
        async with locked(served.house.database):
            await assert_told_to_come_again(client, CALL)
            assert (await client.ask(PAGE))["transfers"]["eventCursor"]
            assert not await is_ready(served.url)
            with pytest.raises(Failed, match="SERVICE_UNAVAILABLE"):
                await desk.tell(t, "complete")
        await until_ready(served.url)
        assert (await desk.see(t))["status"] == "RINGING"
        await desk.tell(t, "cancel")
        assert ending(await desk.until_ended(t)) == ("CANCELLED", "COMMAND", None, "CLIENT")
        (await World.read(served.house.database)).check_at_rest()


async def test_a_crowd_of_writers_is_not_kept_waiting_for_a_lock_one_by_one(tmp_path: Path) -> None:
    async with impatient(tmp_path) as served, locked(served.house.database), asyncio.timeout(10):
        await asyncio.gather(*(assert_told_to_come_again(served.client(), CALL) for _ in range(50)))


async def test_a_full_disk_refuses_what_is_new_and_keeps_what_was_recorded(tmp_path: Path) -> None:
    async with inside(settings_in(tmp_path)) as served:
        database, desk = served.house.database, PatientDesk(PatientClient(f"{served.url}/graphql"))
        t = await desk.start(await desk.talk(), "0107")
        await desk.until_rings(t)
        await most_pages(database, 0)  # the file can't grow
        talking = asyncio.create_task(endlessly(desk.talk))
        await desk.client.put_off.wait()
        assert not await is_ready(served.url)
        assert (await desk.see(t))["status"] == "RINGING"
        await most_pages(database, 1_000_000)
        await until_ready(served.url)
        talking.cancel()
        await desk.tell(t, "cancel")
        assert ending(await desk.until_ended(t)) == ("CANCELLED", "COMMAND", None, "CLIENT")
        (await World.read(database)).check()


async def most_pages(database: Database, most: int) -> None:
    async with database.writing() as connection:
        await connection.exec_driver_sql(f"PRAGMA max_page_count={most or 1}")


@pytest.mark.skipif(not hasattr(psutil.Process, "rlimit"), reason="Linux lets one process limit another")
async def test_a_disk_that_fails_and_comes_back_costs_time_alone(tmp_path: Path) -> None:
    async with serving(tmp_path, simulator_pace=20) as served:
        client, desk, process = served.client(), Desk(served.client()), psutil.Process(served.process.pid)
        t = await desk.start(await desk.talk(), "0100")
        limits = process.rlimit(psutil.RLIMIT_FSIZE)
        process.rlimit(psutil.RLIMIT_FSIZE, (0, limits[1]))  # every write to a file fails
        await assert_told_to_come_again(client, CALL)
        assert not await is_ready(served.url)
        await client.ask(PAGE)
        process.rlimit(psutil.RLIMIT_FSIZE, limits)
        await until_ready(served.url)
        await desk.until(t, "CONSULTING")
        await desk.tell(t, "complete")
        assert ending(await desk.until_ended(t)) == ("COMPLETED", None, None, "CLIENT")
    database = Database(served.database)
    (await World.read(database)).check_at_rest()
    await database.close()


async def test_a_file_that_is_moved_away_and_back_is_the_same_file(tmp_path: Path) -> None:
    async with inside(settings_in(tmp_path)) as served:
        desk = PatientDesk(PatientClient(f"{served.url}/graphql"))
        t = await desk.start(await desk.talk(), "0107")
        await desk.until_rings(t)
        file = tmp_path / "transfers.sqlite3"
        away = file.rename(tmp_path / "elsewhere")
        assert not await is_ready(served.url)
        asking = [asyncio.create_task(desk.see(t)) for _ in range(20)]  # more requests than connections
        await asyncio.wait(asking, timeout=1)
        assert not file.exists(), "an empty database stands in for the one that is away"
        copy(away, file)
        assert not await is_ready(served.url), "another file is taken for the one that is away"
        away.rename(file)
        await until_ready(served.url)
        assert {seen["status"] for seen in await asyncio.gather(*asking)} == {"RINGING"}
        await desk.tell(t, "cancel")
        assert ending(await desk.until_ended(t)) == ("CANCELLED", "COMMAND", None, "CLIENT")
        (await World.read(served.house.database)).check_at_rest()


@asynccontextmanager
async def breakable(folder: Path) -> AsyncIterator[tuple[Inside, BreakableDatabase]]:
    settings = settings_in(folder)
    database = BreakableDatabase(settings.url)
    async with inside(settings, database=database) as served:
        yield served, database


async def test_a_socket_is_closed_with_a_code_that_makes_its_client_come_again(tmp_path: Path) -> None:
    async with breakable(tmp_path) as (served, database):
        client, desk = served.client(), Desk(served.client())
        cursor = (await client.ask(PAGE))["transfers"]["eventCursor"]
        talk = await desk.talk()
        async with client.follow(EVENTS, after=cursor) as events:
            t = await desk.start(talk, "0107")
            first = (await anext(events))["transferEvents"]
            assert first["transferId"] == t["id"]
            await desk.until_rings(t)
            database.trouble = Trouble(1, lasting=1_000)
            await served.house.broker.wake(f"transfers:{(await _customer(client))}")
            with pytest.raises(ConnectionClosed) as cut:
                await endlessly(lambda: anext(events))
        assert cut.value.rcvd
        assert (cut.value.rcvd.code, cut.value.rcvd.reason) == (1013, "Try again later")
        database.trouble = Trouble()
        async with client.follow(EVENTS, after=first["cursor"]) as events:
            assert (await anext(events))["transferEvents"]["version"] == first["version"] + 1


async def _customer(client: Client) -> str:
    return str((await client.ask("{ viewer { customerId } }"))["viewer"]["customerId"])


async def test_an_event_stream_is_cut_without_being_completed(tmp_path: Path) -> None:
    async with breakable(tmp_path) as (served, database), httpx.AsyncClient(verify=TLS) as http:
        headers = {"Authorization": f"Bearer {token()}", "Accept": "text/event-stream"}
        asked = {"query": EVENTS}
        database.trouble = Trouble(1, lasting=1_000)
        answer = await http.post(f"{served.url}/graphql", json=asked, headers=headers)
        assert (answer.status_code, answer.text) == (200, "")
