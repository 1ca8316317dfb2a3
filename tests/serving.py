"""The server as users run it: a process of its own, reached over HTTP and WebSocket."""

import asyncio
import os
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from app.domain.viewer import Permission
from app.server.auth import Secret, Tokens
from tests.builders import CUSTOMER

Json = dict[str, Any]
SECRET = "a secret that only the tests know of"
TRANSFERS = Path(sys.executable).with_name("transfers")
START_SECONDS = 30
TLS = ssl.create_default_context()  # created once, because that takes longer than most requests


def token(customer: str = CUSTOMER, *permissions: Permission, subject: str = "agent", ttl: float = 3600) -> str:
    """Return a token. It has every permission unless some are given."""
    return Tokens(Secret(SECRET)).issue(customer, subject, permissions or Permission, ttl)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Failed(Exception):
    """Raised for a response with errors."""

    def __init__(self, errors: list[Json]) -> None:
        super().__init__(errors)
        self.errors = errors
        self.code = errors[0].get("extensions", {}).get("code")


@dataclass
class Client:
    """A client that sends queries over HTTP and subscribes over WebSocket."""

    url: str
    token: str = field(default_factory=token)

    async def ask(self, query: str, /, **variables: Any) -> Json:
        """Run a query or a mutation, and return its data. Raises Failed."""
        async with httpx.AsyncClient(timeout=30, verify=TLS) as http:
            answer = (await self.post(http, query, variables)).json()
        if answer.get("errors"):
            raise Failed(answer["errors"])
        return dict(answer["data"])

    async def post(self, http: httpx.AsyncClient, query: str, variables: Json) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}"}
        return await http.post(self.url, json={"query": query, "variables": variables}, headers=headers)

    @asynccontextmanager
    async def socket(self) -> AsyncIterator[ClientConnection]:
        url = self.url.replace("http", "ws", 1)
        async with connect(url, subprotocols=[Subprotocol("graphql-transport-ws")], compression=None) as websocket:
            await send(websocket, type="connection_init", payload={"Authorization": f"Bearer {self.token}"})
            assert (await receive(websocket))["type"] == "connection_ack"
            yield websocket

    @asynccontextmanager
    async def follow(self, query: str, /, **variables: Any) -> AsyncIterator[AsyncIterator[Json]]:
        """Subscribe, and yield the events until the subscription completes. Raises Failed.

        The server has the subscription when the block starts.
        """
        async with self.socket() as websocket:
            payload = {"query": query, "variables": variables}
            await send(websocket, id="1", type="subscribe", payload=payload)
            await send(websocket, type="ping")  # the pong comes after the server has started the subscription
            yield events(websocket)


async def send(websocket: ClientConnection, **message: Any) -> None:
    await websocket.send(orjson.dumps(message).decode())


async def receive(websocket: ClientConnection) -> Json:
    return dict(orjson.loads(await websocket.recv()))


async def events(websocket: ClientConnection) -> AsyncIterator[Json]:
    while (message := await receive(websocket))["type"] != "complete":
        if message["type"] == "error":
            raise Failed(message["payload"])
        if message["type"] == "next":
            if message["payload"].get("errors"):
                raise Failed(message["payload"]["errors"])
            yield message["payload"]["data"]


@dataclass
class Served:
    process: asyncio.subprocess.Process
    url: str
    database: str
    log: Path

    def client(self, *args: Any, **more: Any) -> Client:
        return Client(f"{self.url}/graphql", token(*args, **more))

    async def kill(self) -> None:
        """End the process at once, as a power cut would."""
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()


_logs = count()


@asynccontextmanager
async def serving(
    folder: Path, *arguments: str, port: int | None = None, stderr: int | None = None, **settings: Any
) -> AsyncIterator[Served]:
    """Run a server until the block ends. `settings` are TRANSFERS_* variables in lower case.

    It writes to a log file. `stderr`: a file descriptor for its error output instead.
    """
    port = port or free_port()
    database = f"sqlite+aiosqlite:///{folder / 'transfers.sqlite3'}"
    log = folder / f"server-{next(_logs)}.log"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TRANSFERS_")}
    environment |= {"TRANSFERS_DATABASE_URL": database, "TRANSFERS_AUTH_SECRET": SECRET, "TRANSFERS_PORT": str(port)}
    environment |= {f"TRANSFERS_{name.upper()}": str(value) for name, value in settings.items()}
    with log.open("wb") as sink:
        process = await asyncio.create_subprocess_exec(
            str(TRANSFERS), "serve", *arguments, env=environment, stdout=sink, stderr=sink if stderr is None else stderr
        )
    served = Served(process, f"http://127.0.0.1:{port}", database, log)
    try:
        await until_ready(served)
        yield served
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def until_ready(served: Served) -> None:
    async with httpx.AsyncClient(verify=TLS) as http, asyncio.timeout(START_SECONDS):
        while True:
            assert served.process.returncode is None, served.log.read_text()
            try:
                if (await http.get(f"{served.url}/readyz")).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.02)
