"""The GraphQL endpoint: queries and mutations over HTTP, event streams, and the hand-over to WebSockets."""

import asyncio
import re
import uuid
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from datetime import datetime
from weakref import WeakSet

from graphql import OperationType
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HTTPRequest
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.execution.executor import Executor
from app.domain.viewer import Viewer
from app.limits import TransportLimits
from app.ports import utc_now
from app.server.auth import bearer
from app.server.errors import TOO_MANY_CONNECTIONS, TransportError, Unavailable, masked
from app.server.metrics import Metrics
from app.server.protocol.inflight import InFlight
from app.server.protocol.journal import Journal
from app.server.protocol.negotiation import JSON, Accepted, accepted
from app.server.protocol.operations import Answer, Asked, Context, Operations, Request
from app.server.protocol.origins import CrossOrigin, Origins
from app.server.protocol.parameters import Parameters
from app.server.protocol.responses import answer_response, error_response
from app.server.protocol.session import Authenticate, Shared
from app.server.protocol.streams import EventStream
from app.server.protocol.trusted import NOTHING_TRUSTED, TrustedDocuments
from app.server.protocol.websocket import WebSockets
from app.server.quota import Quota, QuotaExceeded, address_key

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
JSON_BODY = re.compile(r'application/json\s*(;\s*charset="?utf-8"?\s*)?', re.IGNORECASE)
STOPPING = "The server is shutting down"
DEFAULTS = TransportLimits()


class GraphQLEndpoint:
    """An ASGI application. `authenticate` returns the viewer of a token, `context` makes the context of an operation.

    No further protection against cross-site request forgery (CSRF) is needed: nothing runs without an Authorization
    header, and a browser sends that header to another origin only after a preflight.
    """

    def __init__(
        self,
        executor: Executor,
        authenticate: Authenticate,
        context: Context,
        limits: TransportLimits = DEFAULTS,
        clock: Callable[[], datetime] = utc_now,
        metrics: Metrics | None = None,
        trusted: TrustedDocuments = NOTHING_TRUSTED,
    ) -> None:
        self._authenticate = authenticate
        self._limits = limits
        self._clock = clock
        self._journal = Journal(metrics or Metrics())
        self._operations = Operations(executor, trusted, context, limits, self._journal)
        self._customers = Quota(limits.customer_connections)
        self._addresses = Quota(limits.address_connections)
        origins = Origins(limits.allowed_origins, loopback=limits.loopback_origins)
        shared = Shared(
            self._operations, authenticate, limits, clock, self._customers, self._addresses, origins, self._journal
        )
        self._sockets = WebSockets(shared)
        self._http = CrossOrigin(self._respond, origins, self._refuse_page)
        self._in_flight = InFlight()
        self._streams: WeakSet[EventStream] = WeakSet()
        # The timeouts of bodies that are being read. Draining ends them: a client that has stopped sending would delay
        # the shutdown.
        self._arrivals: WeakSet[asyncio.Timeout] = WeakSet()
        self.draining = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        handle = self._sockets if scope["type"] == "websocket" else self._http
        with self._in_flight.track():
            await handle(scope, receive, send)

    @property
    def connections(self) -> int:
        """The number of open WebSockets and event streams."""
        return len(self._addresses)

    async def drain(self) -> None:
        """Refuse new work, end subscriptions so that clients connect again, and wait for queries and mutations."""
        self.draining = True
        for stream in self._streams:
            stream.cut()
        for arrival in self._arrivals:
            with suppress(RuntimeError):  # the body has arrived already
                arrival.reschedule(0)
        await self._sockets.drain()
        await self._in_flight.wait()
        await self._operations.settle()

    def _refuse_page(self, code: str, about: dict[str, str]) -> None:
        self._journal.refused(code, uuid.uuid4().hex, **about)

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = HTTPRequest(scope, receive)
        request_id = _request_id(request)
        accepts = accepted(request.headers.get("accept", ""))
        with ExitStack() as slots:
            try:
                response = await self._response(request, accepts, request_id, slots)
            except ClientDisconnect:
                return
            except Exception as error:
                response = self._error_response(error, accepts, request_id)
            await response(scope, receive, send)

    async def _response(self, request: HTTPRequest, accepts: Accepted, request_id: str, slots: ExitStack) -> ASGIApp:
        self._admit(request, accepts)
        viewer = await self._authenticate(bearer(request.headers.get("authorization")))
        asked = Request(await self._parameters(request), viewer, request_id)
        operation = self._operations.find(asked)
        _check(request, accepts, operation)
        if accepts.media is None or operation.type is OperationType.SUBSCRIPTION:
            self._take_slots(request, viewer, slots)
            return self._stream(asked, operation)
        answer = await _while_connected(request, self._operations.run(asked, operation))
        return answer_response(answer, accepts.media, request_id, self._limits.http_draft)

    def _error_response(self, error: Exception, accepts: Accepted, request_id: str) -> ASGIApp:
        shown = error if isinstance(error, TransportError) else masked(error, request_id)
        self._journal.refused(shown.formatted["extensions"]["code"], request_id)
        return error_response(shown, accepts.media or JSON, request_id, self._limits.http_draft)

    def _admit(self, request: HTTPRequest, accepts: Accepted) -> None:
        if self.draining:
            raise Unavailable(STOPPING)
        allowed = ("GET", "POST") if self._limits.allow_get else ("POST",)
        if request.method not in allowed:
            raise _not_allowed("The method is not allowed", *allowed)
        if accepts.media is None and not accepts.stream:
            raise TransportError(406, "NOT_ACCEPTABLE", "Responses are JSON or event streams; Accept allows neither")

    async def _parameters(self, request: HTTPRequest) -> Parameters:
        if request.method == "GET":
            return Parameters.of_url(request.query_params)
        if not JSON_BODY.fullmatch(request.headers.get("content-type", "")):
            raise TransportError(415, "UNSUPPORTED_MEDIA_TYPE", "The Content-Type must be application/json in UTF-8")
        if request.headers.get("content-encoding", "identity") != "identity":
            raise TransportError(415, "UNSUPPORTED_MEDIA_TYPE", "Compressed requests are not supported")
        return Parameters.of_body(await self._body(request))

    async def _body(self, request: HTTPRequest) -> bytes:
        try:
            async with asyncio.timeout(self._limits.operation_seconds) as arrival:
                self._arrivals.add(arrival)
                if self.draining:  # the shutdown began during authentication
                    arrival.reschedule(0)
                return await _read(request, self._limits.body_bytes)
        except TimeoutError as error:
            if self.draining:
                raise Unavailable(STOPPING) from error
            raise TransportError(408, "REQUEST_TIMEOUT", "The body did not arrive in time") from error

    def _take_slots(self, request: HTTPRequest, viewer: Viewer, slots: ExitStack) -> None:
        try:
            slots.enter_context(self._addresses.slot(address_key(request.client)))
            slots.enter_context(self._customers.slot(viewer.customer_id))
        except QuotaExceeded as error:
            raise TransportError(429, TOO_MANY_CONNECTIONS, "Too many connections", retry_after="1") from error

    def _stream(self, asked: Request, operation: Asked) -> EventStream:
        if self.draining:  # the shutdown began while the body arrived
            raise Unavailable(STOPPING)
        lifetime = (asked.viewer.expires_at - self._clock()).total_seconds()
        stream = EventStream(self._operations.stream(asked, operation), lifetime, self._limits.heartbeat, asked.id)
        self._streams.add(stream)
        return stream


def _check(request: HTTPRequest, accepts: Accepted, operation: Asked) -> None:
    if request.method == "GET" and operation.type is OperationType.MUTATION:
        raise _not_allowed("A mutation must be sent by POST", "POST")
    if operation.type is OperationType.SUBSCRIPTION and not accepts.stream:
        raise TransportError(406, "NOT_ACCEPTABLE", "A subscription needs Accept: text/event-stream, or a WebSocket")


def _not_allowed(message: str, *methods: str) -> TransportError:
    return TransportError(405, "METHOD_NOT_ALLOWED", message, allow=", ".join(methods))


def _request_id(request: HTTPRequest) -> str:
    given = request.headers.get("x-request-id", "")
    return given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


async def _read(request: HTTPRequest, limit: int) -> bytes:
    too_large = TransportError(413, "PAYLOAD_TOO_LARGE", f"A body may have at most {limit} bytes")
    length = request.headers.get("content-length", "0")
    if length.isdecimal() and int(length) > limit:
        raise too_large
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise too_large
    return bytes(body)


async def _while_connected(request: HTTPRequest, work: Awaitable[Answer]) -> Answer:
    """Await the work. If the client leaves first, cancel the work and raise ClientDisconnect."""
    try:
        async with asyncio.timeout(None) as end:
            watch = asyncio.create_task(_end_at_disconnect(request, end))
            try:
                return await work
            finally:
                watch.cancel()
    except TimeoutError as error:
        raise ClientDisconnect from error


async def _end_at_disconnect(request: HTTPRequest, end: asyncio.Timeout) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    end.reschedule(0)
