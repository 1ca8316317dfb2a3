"""A client of graphql-transport-ws that sends and receives single messages."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from tests.server.toy import Site, authorization

PROTOCOL = "graphql-transport-ws"


class SocketClient:
    """A client of one WebSocket."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def send(self, *messages: object) -> None:
        for message in messages:
            await self._connection.send(json.dumps(message))

    async def send_raw(self, frame: str | bytes) -> None:
        await self._connection.send(frame)

    async def receive(self) -> dict[str, Any]:
        async with asyncio.timeout(10):
            return cast("dict[str, Any]", json.loads(await self._connection.recv()))

    async def receive_all(self, count: int) -> list[dict[str, Any]]:
        return [await self.receive() for _ in range(count)]

    async def subscribe(self, query: str, operation_id: str = "1", **rest: object) -> None:
        await self.ask({"query": query, **rest}, operation_id)

    async def ask(self, payload: dict[str, object], operation_id: str = "1") -> None:
        await self.send({"id": operation_id, "type": "subscribe", "payload": payload})

    async def initialise(self, value: str | None = None) -> None:
        await self.send({"type": "connection_init", "payload": authorization(value)})
        assert await self.receive() == {"type": "connection_ack"}

    async def closed(self) -> tuple[int, str]:
        """Wait until the server closes the WebSocket. Return the close code and reason; ignore other messages."""
        async with asyncio.timeout(10):
            await self._connection.wait_closed()
        assert self._connection.close_code is not None
        return self._connection.close_code, self._connection.close_reason or ""

    async def still_works(self) -> bool:
        await self.subscribe("{ hello }", "still")
        while (message := await self.receive()).get("id") != "still":
            pass
        return bool(message["type"] == "next")


@asynccontextmanager
async def connected(
    running: Site, protocol: str | None = PROTOCOL, origin: str | None = None, **headers: str
) -> AsyncIterator[SocketClient]:
    url = f"ws://127.0.0.1:{running.port}/graphql"
    protocols = [Subprotocol(protocol)] if protocol else None
    spoken_from = Origin(origin) if origin else None
    async with connect(
        url, subprotocols=protocols, origin=spoken_from, additional_headers=headers, proxy=None
    ) as socket:
        yield SocketClient(socket)


@asynccontextmanager
async def initialised(running: Site) -> AsyncIterator[SocketClient]:
    async with connected(running) as client:
        await client.initialise()
        yield client
