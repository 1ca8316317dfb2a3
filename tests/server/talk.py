"""graphql-transport-ws as a client speaks it, frame by frame."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from tests.server.toy import Site, authorization

PROTOCOL = "graphql-transport-ws"


class Talk:
    """What a client may say, and hear."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def say(self, *messages: object) -> None:
        for message in messages:
            await self._connection.send(json.dumps(message))

    async def say_raw(self, frame: str | bytes) -> None:
        await self._connection.send(frame)

    async def hear(self) -> dict[str, Any]:
        async with asyncio.timeout(10):
            return cast("dict[str, Any]", json.loads(await self._connection.recv()))

    async def hear_all(self, count: int) -> list[dict[str, Any]]:
        return [await self.hear() for _ in range(count)]

    async def subscribe(self, query: str, operation_id: str = "1", **rest: object) -> None:
        await self.ask({"query": query, **rest}, operation_id)

    async def ask(self, payload: dict[str, object], operation_id: str = "1") -> None:
        await self.say({"id": operation_id, "type": "subscribe", "payload": payload})

    async def greet(self, value: str | None = None) -> None:
        await self.say({"type": "connection_init", "payload": authorization(value)})
        assert await self.hear() == {"type": "connection_ack"}

    async def closed(self) -> tuple[int, str]:
        """By which code and reason, after whatever else comes."""
        async with asyncio.timeout(10):
            await self._connection.wait_closed()
        assert self._connection.close_code is not None
        return self._connection.close_code, self._connection.close_reason or ""

    async def still_works(self) -> bool:
        await self.subscribe("{ hello }", "still")
        while (message := await self.hear()).get("id") != "still":
            pass
        return bool(message["type"] == "next")


@asynccontextmanager
async def talk(
    running: Site, protocol: str | None = PROTOCOL, origin: str | None = None, **headers: str
) -> AsyncIterator[Talk]:
    url = f"ws://127.0.0.1:{running.port}/graphql"
    protocols = [Subprotocol(protocol)] if protocol else None
    spoken_from = Origin(origin) if origin else None
    async with connect(
        url, subprotocols=protocols, origin=spoken_from, additional_headers=headers, proxy=None
    ) as socket:
        yield Talk(socket)


@asynccontextmanager
async def greeted(running: Site) -> AsyncIterator[Talk]:
    async with talk(running) as client:
        await client.greet()
        yield client
