"""Event streams (SSE): the answers of one operation, in the distinct connections mode of the graphql-sse protocol."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

import orjson
from starlette.types import Receive, Scope, Send

from app.server.errors import formatted_error
from app.server.protocol.operations import Answer


def _next(body: bytes) -> bytes:
    return b"event: next\ndata: %b\n\n" % body


COMPLETE = b"event: complete\ndata:\n\n"
EXPIRED = _next(orjson.dumps({"errors": [formatted_error("Token expired", "UNAUTHENTICATED")]})) + COMPLETE
CUT = b""
"""A stream that ends without `complete` makes the client connect again."""

HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store, no-transform"),
    (b"x-accel-buffering", b"no"),  # otherwise nginx buffers the events
]


class EventStream:
    """An ASGI response that streams the answers of an operation.

    It ends with the operation, when the token expires, or when the client leaves. `lifetime`: seconds until the token
    expires. `heartbeat`: seconds between two keep-alive comments.
    """

    def __init__(self, answers: AsyncGenerator[Answer], lifetime: float, heartbeat: float, request_id: str) -> None:
        self._answers = answers
        self._lifetime = lifetime
        self._heartbeat = heartbeat
        self._headers = [*HEADERS, (b"x-request-id", request_id.encode())]
        self._ending = EXPIRED
        self._end = asyncio.timeout(None)

    def cut(self) -> None:
        """End the stream now, or as soon as it starts. The client connects again."""
        self._ending = CUT
        self._lifetime = 0
        with suppress(RuntimeError):  # the stream has not started, or has ended
            self._end.reschedule(0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self._headers})
        try:
            ending = await self._stream(receive, send)
        except TimeoutError:
            ending = self._ending
        await send({"type": "http.response.body", "body": ending})

    async def _stream(self, receive: Receive, send: Send) -> bytes:
        ending = COMPLETE
        async with asyncio.timeout(self._lifetime) as self._end, asyncio.TaskGroup() as tasks:
            keep_alive = tasks.create_task(self._keep_alive(receive, send))
            async with aclosing(self._answers):
                async for answer in self._answers:
                    if answer.again:
                        ending = CUT
                        break
                    await _send(send, _next(answer.body))
            keep_alive.cancel()
        return ending

    async def _keep_alive(self, receive: Receive, send: Send) -> None:
        """Send keep-alive comments until the client leaves."""
        while True:
            try:
                async with asyncio.timeout(self._heartbeat):
                    if (await receive())["type"] == "http.disconnect":
                        return self.cut()
            except TimeoutError:
                await _send(send, b":\n\n")


async def _send(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})
