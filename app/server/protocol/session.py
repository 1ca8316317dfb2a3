"""One WebSocket session of the subprotocol graphql-transport-ws.

The server closes a session with one of these codes.

Of the protocol: 4400 bad message, 4401 not initialised, 4403 bad token, 4406 subprotocol not supported, 4408 not
initialised in time, 4409 operation id in use, 4429 initialised twice.

Of this server: 4403 "Token expired", 4500 internal error, 1012 the server restarts, 1013 too many WebSockets or a
temporary problem. After 1012 and 1013 a client should connect again.

To stay connected when its token expires, a client sends a fresh token before: {"type": "ping", "payload":
{"Authorization": "Bearer …"}}. The new token must have the same customer and subject, and at least the same
permissions. The pong confirms that the server has accepted it.
"""

import asyncio
import logging
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import ExitStack, aclosing, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from graphql import OperationType
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketDisconnected
from structlog.contextvars import bind_contextvars

from app.domain.viewer import Viewer
from app.limits import TransportLimits
from app.server.auth import bearer
from app.server.errors import (
    INTERNAL_SERVER_ERROR,
    SERVICE_UNAVAILABLE,
    TOO_MANY_CONNECTIONS,
    TOO_MANY_OPERATIONS,
    BadRequest,
    Unauthenticated,
    Unavailable,
    formatted_error,
    masked,
)
from app.server.protocol.journal import Journal
from app.server.protocol.operations import Answer, Operations, Request
from app.server.protocol.origins import Origins
from app.server.protocol.parameters import Parameters, decode
from app.server.quota import Quota, QuotaExceeded

logger = logging.getLogger(__name__)

Message = dict[str, Any]
Authenticate = Callable[[str], Awaitable[Viewer]]

GONE = (WebSocketDisconnect, WebSocketDisconnected)
"""Raised by a WebSocket after the client has left."""


class Close(Exception):
    """Close the session with this close code and reason.

    `error_code` is the code that HTTP has for the same error. None: the session ends without an error of the client.
    """

    def __init__(self, code: int, reason: str, error_code: str | None = None) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason.encode()[:123].decode(errors="ignore")  # a close frame holds no more
        self.error_code = error_code


TOO_MANY_SOCKETS = (1013, "Too many connections", TOO_MANY_CONNECTIONS)
TRY_AGAIN = (1013, "Try again later")
FORBIDDEN = (4403, "Forbidden")


@dataclass(frozen=True, slots=True)
class Shared:
    """What all sessions of a server share."""

    operations: Operations
    authenticate: Authenticate
    limits: TransportLimits
    clock: Callable[[], datetime]
    customers: Quota  # of WebSockets and event streams together
    addresses: Quota  # of WebSockets and event streams together
    origins: Origins
    journal: Journal


@dataclass(frozen=True, slots=True)
class Running:
    """An operation that runs."""

    task: asyncio.Task[None]
    is_subscription: bool


class Session:
    """One client's session. `request_id` is the id of the WebSocket; each operation has an id of its own."""

    def __init__(self, websocket: WebSocket, shared: Shared, request_id: str) -> None:
        self._websocket = websocket
        self._shared = shared
        self._request_id = request_id
        self._handlers: dict[str, Callable[[Message], Awaitable[None]]] = {
            "connection_init": self._init,
            "ping": self._ping,
            "pong": self._pong,
            "subscribe": self._subscribe,
            "complete": self._complete,
        }
        self._initialised = False
        self._viewer: Viewer | None = None
        self._running: dict[str, Running] = {}
        self._draining = False
        self._slot = ExitStack()
        self._deadline = asyncio.timeout(shared.limits.init_timeout)
        # How the session ends when the deadline passes.
        self._at_deadline = Close(4408, "Connection initialisation timeout", "REQUEST_TIMEOUT")

    async def run(self) -> None:
        """Serve the client until one side closes. Then queries and subscriptions are cancelled; mutations finish."""
        with self._slot:
            async with asyncio.TaskGroup() as self._tasks:
                close = await self._listen()
                for running in self._running.values():
                    running.task.cancel()
                if close:
                    await self._close(close)

    async def drain(self) -> None:
        """End the subscriptions, wait for queries and mutations, and close so that the client connects again."""
        self._draining = True
        for running in self._running.values():
            if running.is_subscription:
                running.task.cancel()
        if finite := [running.task for running in self._running.values() if not running.is_subscription]:
            await asyncio.wait(finite)
        self._end(1012, "Service restart")

    def _end(self, code: int, reason: str) -> None:
        self._at_deadline = Close(code, reason)
        with suppress(RuntimeError):  # the session has ended already
            self._deadline.reschedule(0)

    async def _listen(self) -> Close | None:
        """Handle messages. Return how to close the session, or None if the client has closed it."""
        try:
            async with self._deadline:
                while True:
                    await self._handle(await self._receive())
                    await asyncio.sleep(0)  # otherwise a client with many waiting messages would block all others
        except Close as close:
            return close
        except QuotaExceeded:
            return Close(*TOO_MANY_SOCKETS)
        except GONE:
            return None
        except Exception as error:
            if self._deadline.expired():
                return self._at_deadline
            masked(error, self._request_id)
            return Close(4500, "Internal server error", INTERNAL_SERVER_ERROR)

    async def _receive(self) -> str:
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect
        if message.get("text") is None:
            raise Close(4400, "A message must be text", "BAD_REQUEST")
        return str(message["text"])

    async def _handle(self, text: str) -> None:
        try:
            message = _message(text)
            handler = self._handlers.get(message["type"])
            if handler is None:
                raise BadRequest("Unknown message type")
            await handler(message)
        except BadRequest as error:
            raise Close(4400, error.message, "BAD_REQUEST") from error

    async def _init(self, message: Message) -> None:
        payload = _payload(message)
        if self._initialised:
            raise Close(4429, "Too many initialisation requests", "BAD_REQUEST")
        self._initialised = True
        header = self._websocket.headers.get("authorization")
        viewer = await self._identify(_authorization(payload) or header)
        self._slot.enter_context(self._shared.customers.slot(viewer.customer_id))
        self._admit(viewer)
        await self._send({"type": "connection_ack"})

    async def _ping(self, message: Message) -> None:
        payload = _payload(message)
        if self._viewer and (authorization := _authorization(payload)):
            self._renew(self._viewer, await self._identify(authorization))
        if payload is None:
            return await self._send({"type": "pong"})
        echo = {name: value for name, value in payload.items() if name.lower() != "authorization"}
        try:
            pong = _encoded({"type": "pong", "payload": echo})
        except orjson.JSONEncodeError as error:  # orjson reads 1,024 levels and writes 254
            raise BadRequest("The payload has too many levels") from error
        return await self._websocket.send_text(pong)

    async def _pong(self, message: Message) -> None:
        _payload(message)

    async def _subscribe(self, message: Message) -> None:
        operation_id = self._id(message)
        parameters = Parameters.of(message.get("payload"))
        if self._viewer is None:
            raise Close(4401, "Unauthorized", "UNAUTHENTICATED")
        if operation_id in self._running:
            raise Close(4409, f"Subscriber for {operation_id} already exists", "BAD_REQUEST")
        if len(self._running) >= self._shared.limits.operations_per_socket:
            self._shared.journal.refused(TOO_MANY_OPERATIONS, self._request_id)
            await self._send(_error(operation_id, [formatted_error("Too many operations", TOO_MANY_OPERATIONS)]))
        elif not self._draining:  # while draining, the close frame will tell the client
            self._start(operation_id, Request(parameters, self._viewer, uuid.uuid4().hex))

    async def _complete(self, message: Message) -> None:
        if running := self._running.pop(self._id(message), None):
            running.task.cancel()

    async def _identify(self, authorization: str | None) -> Viewer:
        try:
            return await self._shared.authenticate(bearer(authorization))
        except Unauthenticated as error:
            raise Close(*FORBIDDEN, "UNAUTHENTICATED") from error
        except Unavailable as error:
            raise Close(*TRY_AGAIN, SERVICE_UNAVAILABLE) from error

    def _renew(self, viewer: Viewer, renewed: Viewer) -> None:
        """Accept a fresh token. Running operations keep the rights of the old token, so it must grant no less."""
        same = (viewer.customer_id, viewer.subject) == (renewed.customer_id, renewed.subject)
        if not same or not viewer.permissions <= renewed.permissions:
            raise Close(*FORBIDDEN, "FORBIDDEN")
        self._admit(renewed)

    def _admit(self, viewer: Viewer) -> None:
        self._viewer = viewer
        bind_contextvars(customer_id=viewer.customer_id)
        if not self._draining:
            lifetime = (viewer.expires_at - self._shared.clock()).total_seconds()
            self._at_deadline = Close(4403, "Token expired")
            self._deadline.reschedule(asyncio.get_running_loop().time() + lifetime)

    def _start(self, operation_id: str, request: Request) -> None:
        operation = self._shared.operations.find(request)
        answers = self._shared.operations.stream(request, operation)
        task = self._tasks.create_task(self._operate(operation_id, answers))
        self._running[operation_id] = Running(task, operation.type is OperationType.SUBSCRIPTION)

    async def _operate(self, operation_id: str, answers: AsyncGenerator[Answer]) -> None:
        try:
            async with aclosing(answers):
                async for answer in answers:
                    if answer.again:
                        return self._end(*TRY_AGAIN)
                    if not answer.executed:
                        return await self._finish(operation_id, _error(operation_id, answer.errors))
                    await self._send({"id": operation_id, "type": "next", "payload": orjson.Fragment(answer.body)})
            await self._finish(operation_id, {"id": operation_id, "type": "complete"})
        except GONE:
            return None

    async def _finish(self, operation_id: str, message: Message) -> None:
        running = self._running.get(operation_id)
        if running and running.task is asyncio.current_task():
            del self._running[operation_id]  # before the client is told: it may use the id again at once
            await self._send(message)

    def _id(self, message: Message) -> str:
        operation_id = message.get("id")
        if not isinstance(operation_id, str) or not 0 < len(operation_id) <= self._shared.limits.operation_id_length:
            raise BadRequest(f"id must be a string of 1 to {self._shared.limits.operation_id_length} characters")
        return operation_id

    async def _send(self, message: Message) -> None:
        await self._websocket.send_text(_encoded(message))

    async def _close(self, close: Close) -> None:
        if close.error_code:
            self._shared.journal.refused(close.error_code, self._request_id)
        logger.info("Closed a WebSocket: %s", close.code)
        with suppress(*GONE):
            await self._websocket.close(close.code, close.reason)


def _message(text: str) -> Message:
    message = decode(text)
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise BadRequest("A message must be a JSON object with a type")
    return message


def _encoded(message: Message) -> str:
    return orjson.dumps(message).decode()


def _payload(message: Message) -> Message | None:
    payload = message.get("payload")
    if not isinstance(payload, dict | None):
        raise BadRequest("payload must be an object or null")
    return payload


def _authorization(payload: Message | None) -> str | None:
    """Return the Authorization of the payload. A value that is not a string counts as an invalid token."""
    values = (value for name, value in (payload or {}).items() if name.lower() == "authorization")
    return next((value if isinstance(value, str) else "not a string" for value in values), None)


def _error(operation_id: str, errors: list[dict[str, Any]]) -> Message:
    return {"id": operation_id, "type": "error", "payload": errors}
