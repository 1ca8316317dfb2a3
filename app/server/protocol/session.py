"""One conversation in graphql-transport-ws.

Codes by which the server ends it. By the protocol: 4400 bad message, 4401 not initialised, 4403 bad token, 4406 other
sub-protocol, 4408 not initialised in time, 4409 id in use, 4429 initialised twice. Beyond it: 4403 "Token expired",
4500 a fault of ours; 1012 the server restarts, 1013 too many sockets or a passing trouble: after these two, try again.

A client that wants to stay beyond the expiry of its token sends a fresh one in time, for the same customer and subject
and with at least the same permissions: {"type": "ping", "payload": {"Authorization": "Bearer …"}}. The pong is the
receipt.
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
from app.server.auth import bearer
from app.server.errors import (
    INTERNAL_SERVER_ERROR,
    SERVICE_UNAVAILABLE,
    TOO_MANY_CONNECTIONS,
    TOO_MANY_OPERATIONS,
    BadRequest,
    Unauthenticated,
    Unavailable,
    entry,
    masked,
)
from app.server.limits import TransportLimits
from app.server.protocol.journal import Journal
from app.server.protocol.operations import Answer, Operations, Request
from app.server.protocol.origins import Origins
from app.server.protocol.parameters import Parameters, decode
from app.server.quota import Quota, QuotaExceeded

logger = logging.getLogger(__name__)

Message = dict[str, Any]
Authenticate = Callable[[str], Awaitable[Viewer]]

GONE = (WebSocketDisconnect, WebSocketDisconnected)  # raised by a WebSocket whose other side has left


class Close(Exception):
    """Ends the conversation, by this code and reason. `refusal`: what it is called over HTTP, if it is one."""

    def __init__(self, code: int, reason: str, refusal: str | None = None) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason.encode()[:123].decode(errors="ignore")  # as long as a close frame can hold
        self.refusal = refusal


CROWDED = (1013, "Too many connections", TOO_MANY_CONNECTIONS)
AGAIN = (1013, "Try again later")
FORBIDDEN = (4403, "Forbidden")


@dataclass(frozen=True, slots=True)
class House:
    """What all sockets of a server share."""

    operations: Operations
    authenticate: Authenticate
    limits: TransportLimits
    clock: Callable[[], datetime]
    customers: Quota  # event streams take them, too
    addresses: Quota
    origins: Origins
    journal: Journal


@dataclass(frozen=True, slots=True)
class Running:
    task: asyncio.Task[None]
    endless: bool


class Conversation:
    """What one client says and hears. `request_id`: of the socket; each operation has one of its own."""

    def __init__(self, websocket: WebSocket, house: House, request_id: str) -> None:
        self._websocket = websocket
        self._house = house
        self._request_id = request_id
        self._handlers: dict[str, Callable[[Message], Awaitable[None]]] = {
            "connection_init": self._init,
            "ping": self._ping,
            "pong": self._pong,
            "subscribe": self._subscribe,
            "complete": self._complete,
        }
        self._greeted = False
        self._viewer: Viewer | None = None
        self._running: dict[str, Running] = {}
        self._draining = False
        self._slot = ExitStack()
        self._deadline = asyncio.timeout(house.limits.init_timeout)
        self._farewell = Close(
            4408, "Connection initialisation timeout", "REQUEST_TIMEOUT"
        )  # said when the deadline has passed

    async def last(self) -> None:
        """Until one side closes. Nothing of it is left afterwards, except that mutations go on to their end."""
        with self._slot:
            async with asyncio.TaskGroup() as self._tasks:
                close = await self._listen()
                for running in self._running.values():
                    running.task.cancel()
                if close:
                    await self._close(close)

    async def drain(self) -> None:
        """End the subscriptions, let the rest finish, and close, in such a way that clients connect again."""
        self._draining = True
        for running in self._running.values():
            if running.endless:
                running.task.cancel()
        if finite := [running.task for running in self._running.values() if not running.endless]:
            await asyncio.wait(finite)
        self._end(1012, "Service restart")

    def _end(self, code: int, reason: str) -> None:
        self._farewell = Close(code, reason)
        with suppress(RuntimeError):  # the conversation is over already
            self._deadline.reschedule(0)

    async def _listen(self) -> Close | None:
        """How to close, or None if the client did."""
        try:
            async with self._deadline:
                while True:
                    await self._hear(await self._receive())
                    await asyncio.sleep(0)  # others get their turn, however much one client says at once
        except Close as close:
            return close
        except QuotaExceeded:
            return Close(*CROWDED)
        except GONE:
            return None
        except Exception as error:
            if self._deadline.expired():
                return self._farewell
            masked(error, self._request_id)
            return Close(4500, "Internal server error", INTERNAL_SERVER_ERROR)

    async def _receive(self) -> str:
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect
        if message.get("text") is None:
            raise Close(4400, "Messages are text", "BAD_REQUEST")
        return str(message["text"])

    async def _hear(self, text: str) -> None:
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
        if self._greeted:
            raise Close(4429, "Too many initialisation requests", "BAD_REQUEST")
        self._greeted = True
        header = self._websocket.headers.get("authorization")
        viewer = await self._identify(_authorization(payload) or header)
        self._slot.enter_context(self._house.customers.slot(viewer.customer_id))
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
        except orjson.JSONEncodeError as error:  # it reads what is nested a thousand deep, and writes 254
            raise BadRequest("The payload is nested too deeply") from error
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
        if len(self._running) >= self._house.limits.operations_per_socket:
            self._house.journal.refused(TOO_MANY_OPERATIONS, self._request_id)
            await self._send(_error(operation_id, [entry("Too many operations", TOO_MANY_OPERATIONS)]))
        elif not self._draining:  # else the client will hear of it soon, by the closing of the socket
            self._start(operation_id, Request(parameters, self._viewer, uuid.uuid4().hex))

    async def _complete(self, message: Message) -> None:
        if running := self._running.pop(self._id(message), None):
            running.task.cancel()

    async def _identify(self, authorization: str | None) -> Viewer:
        try:
            return await self._house.authenticate(bearer(authorization))
        except Unauthenticated as error:
            raise Close(*FORBIDDEN, "UNAUTHENTICATED") from error
        except Unavailable as error:
            raise Close(*AGAIN, SERVICE_UNAVAILABLE) from error

    def _renew(self, viewer: Viewer, renewed: Viewer) -> None:
        """Only for the same bearer: what already runs keeps the rights it began with."""
        same = (viewer.customer_id, viewer.subject) == (renewed.customer_id, renewed.subject)
        if not same or not viewer.permissions <= renewed.permissions:
            raise Close(*FORBIDDEN, "FORBIDDEN")
        self._admit(renewed)

    def _admit(self, viewer: Viewer) -> None:
        self._viewer = viewer
        bind_contextvars(customer_id=viewer.customer_id)
        if not self._draining:
            lifetime = (viewer.expires_at - self._house.clock()).total_seconds()
            self._farewell = Close(4403, "Token expired")
            self._deadline.reschedule(asyncio.get_running_loop().time() + lifetime)

    def _start(self, operation_id: str, request: Request) -> None:
        operation = self._house.operations.find(request)
        answers = self._house.operations.stream(request, operation)
        task = self._tasks.create_task(self._operate(operation_id, answers))
        self._running[operation_id] = Running(task, operation.type is OperationType.SUBSCRIPTION)

    async def _operate(self, operation_id: str, answers: AsyncGenerator[Answer]) -> None:
        try:
            async with aclosing(answers):
                async for answer in answers:
                    if answer.again:
                        return self._end(*AGAIN)
                    if not answer.executed:
                        return await self._finish(operation_id, _error(operation_id, answer.errors))
                    await self._send({"id": operation_id, "type": "next", "payload": orjson.Fragment(answer.body)})
            await self._finish(operation_id, {"id": operation_id, "type": "complete"})
        except GONE:
            return None

    async def _finish(self, operation_id: str, message: Message) -> None:
        running = self._running.get(operation_id)
        if running and running.task is asyncio.current_task():
            del self._running[operation_id]  # before the client knows, who may use the id again at once
            await self._send(message)

    def _id(self, message: Message) -> str:
        operation_id = message.get("id")
        if not isinstance(operation_id, str) or not 0 < len(operation_id) <= self._house.limits.operation_id_length:
            raise BadRequest(f"id is a string of 1 to {self._house.limits.operation_id_length} characters")
        return operation_id

    async def _send(self, message: Message) -> None:
        await self._websocket.send_text(_encoded(message))

    async def _close(self, close: Close) -> None:
        if close.refusal:
            self._house.journal.refused(close.refusal, self._request_id)
        logger.info("Closed a socket: %s", close.code)
        with suppress(*GONE):
            await self._websocket.close(close.code, close.reason)


def _message(text: str) -> Message:
    message = decode(text)
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise BadRequest("Messages are JSON objects with a type")
    return message


def _encoded(message: Message) -> str:
    return orjson.dumps(message).decode()


def _payload(message: Message) -> Message | None:
    payload = message.get("payload")
    if not isinstance(payload, dict | None):
        raise BadRequest("payload is an object or null")
    return payload


def _authorization(payload: Message | None) -> str | None:
    """What is no string is as good as a bad one."""
    values = (value for name, value in (payload or {}).items() if name.lower() == "authorization")
    return next((value if isinstance(value, str) else "no string" for value in values), None)


def _error(operation_id: str, errors: list[dict[str, Any]]) -> Message:
    return {"id": operation_id, "type": "error", "payload": errors}
