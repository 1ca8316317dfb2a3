"""The examples of the README, as they stand there, against a running demo."""

import asyncio
import os
import signal
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from io import StringIO
from pathlib import Path

import orjson
import pytest
import pytest_asyncio
from rich.console import Console

from app.demo import CUSTOMER
from app.watch import watch_transfers
from tests.readme.pages import ROOT, block
from tests.serving import SECRET, TRANSFERS, Json, Served, serving
from tests.stories.desk import Desk, checked

pytestmark = pytest.mark.slow

TABS = ROOT / "app" / "web" / "graphiql" / "examples"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def demo(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    async with serving(tmp_path_factory.mktemp("readme"), "--demo", simulator_pace=4) as served:
        yield served


@pytest.fixture
def desk(demo: Served) -> Desk:
    return Desk(demo.client(CUSTOMER))


def script(name: str, demo: Served) -> str:
    """Return the README's lines for a shell, for this server and not for the one that `make run` starts."""
    return block(name).replace("http://127.0.0.1:8000", demo.url).replace(".venv/bin/transfers", str(TRANSFERS))


async def bash(lines: str, demo: Served) -> asyncio.subprocess.Process:
    """Start a shell that runs the lines, and ends at the first that fails. It leads a group of processes."""
    environment = {"TRANSFERS_AUTH_SECRET": SECRET, "TRANSFERS_DATABASE_URL": demo.database}
    return await asyncio.create_subprocess_exec(
        "bash", "-e", "-c", lines, env=os.environ | environment, stdout=PIPE, stderr=PIPE, start_new_session=True
    )


async def printed(lines: str, demo: Served) -> list[str]:
    """Run the lines to their end, and return what they print."""
    process = await bash(lines, demo)
    out, complaint = await process.communicate()
    assert process.returncode == 0, complaint.decode()
    return out.decode().splitlines()


async def streamed(count: int, lines: str, demo: Served) -> list[Json]:
    """Run lines that end with a subscription, and return its first events."""
    process = await bash(lines, demo)
    assert process.stdout
    try:
        async with asyncio.timeout(30):
            data: list[bytes] = []
            while len(data) < count:
                line = await process.stdout.readline()
                assert line, "the stream ended"
                data += [line] if line.startswith(b"data: ") else []
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    return [orjson.loads(line.removeprefix(b"data: "))["data"]["transferEvents"] for line in data]


async def test_a_new_demo_answers_the_query_as_the_readme_shows(tmp_path: Path) -> None:
    async with serving(tmp_path, "--demo") as fresh:
        answer = await fresh.client(CUSTOMER).ask(block("query"))
    assert {"data": answer} == orjson.loads(block("answer"))


async def transfer_with_curl(demo: Served) -> list[Json]:
    """Run the lines for curl, check what each of them prints, and return the history of the transfer."""
    said = await printed(script("first transfer", demo), demo)
    started, consulting, completed, ended = (orjson.loads(line)["data"] for line in said)
    assert started["startTransfer"]["userErrors"] == []
    assert started["startTransfer"]["transfer"]["status"] == "STARTING"
    assert consulting["transfer"]["status"] == "CONSULTING"
    assert consulting["transfer"]["heldCalls"] == [{"isOnHold": True}]
    assert completed["completeTransfer"]["transfer"] == {"status": "ENDING", "outcome": "COMPLETED"}
    assert ended["transfer"]["status"] == "COMPLETED"
    history: list[Json] = ended["transfer"]["events"]["nodes"]
    return history


async def run_the_tabs(demo: Served, desk: Desk) -> None:
    """Run GraphiQL's tabs over HTTP, as a visitor of its page would."""
    await desk.client.ask(tab("look-around"))
    free = "{ calls(filter: {statuses: [PROGRESSING]}) { nodes { id ownerId transfer { id } } } }"
    calls = (await desk.client.ask(free))["calls"]["nodes"]
    agent = next(call["id"] for call in calls if call["ownerId"] and not call["transfer"])
    start = {"type": "ATTENDED", "transferableCall": agent, "to": "+12025550100"}
    transfer = checked((await desk.client.ask(tab("start"), **start))["startTransfer"])["transfer"]
    await desk.until(transfer, "CONSULTING")
    checked((await desk.client.ask(tab("complete"), newestTransfer=transfer["id"]))["completeTransfer"])
    assert (await desk.until_ended(transfer))["status"] == "COMPLETED"


def tab(name: str) -> str:
    return (TABS / f"{name}.graphql").read_text()


async def test_the_first_transfer_works_line_by_line_after_the_tabs_and_again(demo: Served, desk: Desk) -> None:
    await run_the_tabs(demo, desk)
    for _ in range(2):
        await transfer_with_curl(demo)


async def test_a_subscription_with_curl_goes_on_after_a_cursor(demo: Served) -> None:
    first, *later = await transfer_with_curl(demo)
    definition, _, resume = script("events", demo).splitlines()
    setup = script("first transfer", demo).splitlines()[:2]
    lines = "\n".join([*setup, definition, resume.replace("CURSOR", first["cursor"])])
    events = await streamed(len(later), lines, demo)
    assert [event["cursor"] for event in events] == [event["cursor"] for event in later]


async def test_the_terminal_needs_no_token_beside_a_demo(demo: Served, desk: Desk) -> None:
    transfer = await desk.start(await desk.talk(), "0107")
    screen = StringIO()
    watching = asyncio.create_task(
        watch_transfers(f"{demo.url}/graphql", None, Console(file=screen, force_terminal=True, width=120))
    )
    try:
        async with asyncio.timeout(30):
            while transfer["id"][:8] not in screen.getvalue():
                await asyncio.wait([watching], timeout=0.05)
    finally:
        watching.cancel()
