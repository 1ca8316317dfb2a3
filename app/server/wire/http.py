"""uvicorn's HTTP, made to cut a peer that says too little or too much, and to be discreet.

Before the head of a request has come nobody has signed in, and uvicorn waits for ever for as much as there may be. So
it does for the rest of a request that has had its answer, and for trailers.
"""

import asyncio
import logging
from contextlib import ExitStack
from dataclasses import dataclass

import orjson
from httptools import HttpParserCallbackError
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from app.server.quota import QuotaExceeded, address_key
from app.server.wire.patience import Patient

faults = logging.getLogger("uvicorn.error.faults")
faults.setLevel(logging.ERROR)  # it warns of each request that is no HTTP: a stranger could fill the log


@dataclass(frozen=True, slots=True)
class Refusal:
    status: str
    code: str
    message: str

    def __bytes__(self) -> bytes:
        body = orjson.dumps({"errors": [{"message": self.message, "extensions": {"code": self.code}}]})
        head = f"HTTP/1.1 {self.status}\r\nconnection: close\r\ncontent-type: application/json; charset=utf-8\r\n"
        return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


TOO_LARGE = Refusal("431 Request Header Fields Too Large", "HEADERS_TOO_LARGE", "The head of the request is too large")
CROWDED = Refusal("429 Too Many Requests", "TOO_MANY_CONNECTIONS", "Too many connections")
NO_UPGRADE = Refusal("400 Bad Request", "BAD_REQUEST", "A request with a body can't ask for an Upgrade")
MALFORMED = Refusal("400 Bad Request", "BAD_REQUEST", "The request is not HTTP/1.1")


class PatientHTTP(Patient, HttpToolsProtocol):
    _head_timer: asyncio.TimerHandle | None = None
    """Runs while a head is awaited, or the rest of a request that has had its answer."""
    _idle_bytes = 0
    """Received since the application was last given something: a head, or a piece of a body."""
    _refused = False
    _running: RequestResponseCycle | None = None
    """Not always the one that came last, which is the only one that uvicorn tells when the peer has left."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        self.logger = faults
        self._slot = ExitStack()
        if len(self.connections) > self._limits.connections:
            self._tell(CROWDED.code)
            self.transport.abort()
        self._take_slot()
        self._await_head()

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        self._idle_bytes += len(data)
        super().data_received(data)
        if self._idle_bytes > self._limits.head_bytes and not self._refused:
            self._refuse(TOO_LARGE)
        if self._is_answered() and self.transport.get_protocol() is self:
            self._await_head()  # uvicorn has given up its own timer

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._await_head()

    def on_headers_complete(self) -> None:
        self._stop_waiting()
        self._idle_bytes = 0
        if len(self.pipeline) >= self._limits.pipelined:
            raise HttpParserCallbackError  # the parser lets go of the rest that came at once, and the connection is cut
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._idle_bytes = 0
        super().on_body(body)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def connection_lost(self, exc: Exception | None) -> None:
        _leave(self._running)
        self._stop_waiting()
        self._slot.close()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        if self.cycle and not self._is_answered():  # it would answer before the request that came first
            self.transport.close()
        else:
            self._slot.close()  # a WebSocket takes one of its own
            super().handle_websocket_upgrade()

    def _should_upgrade(self) -> bool:
        return not self._has_body() and super()._should_upgrade()

    def _unsupported_upgrade_warning(self) -> None:
        """Any other is passed over; but the parser leaves out the body of a request that asks for an upgrade."""
        if self._has_body():
            self.cycle.more_body = True
            self._refuse(NO_UPGRADE)
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        self._refuse(MALFORMED)
        self.transport.close()

    def _has_body(self) -> bool:
        return any(name in (b"content-length", b"transfer-encoding") for name, _ in self.headers)

    def _take_slot(self) -> None:
        """The connections of a proxy that we believe are many clients'."""
        if self.client and self.client[0] in self._own.proxies:
            return
        try:
            self._slot.enter_context(self._own.addresses.slot(address_key(self.client)))
        except QuotaExceeded:
            self._refuse(CROWDED)
            self.transport.close()

    def _await_head(self) -> None:
        if self._head_timer is None:
            loop = asyncio.get_running_loop()
            self._head_timer = loop.call_later(self._limits.head_timeout, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._head_timer:
            self._head_timer.cancel()
            self._head_timer = None

    def _is_answered(self) -> bool:
        return self.cycle is not None and self.cycle.response_complete

    def _is_owed(self) -> bool:
        """Whether a request has come as a whole, and waits for its answer."""
        return self.cycle is not None and not self._is_answered() and not self._is_arriving()

    def _is_arriving(self) -> bool:
        return self.cycle.more_body and not self.cycle.response_started and not self.pipeline

    def _refuse(self, refusal: Refusal) -> None:
        """Whoever closes at once takes the answer away from a peer that is still talking."""
        self._refused = True
        self._tell(refusal.code)
        if self._is_owed():  # the peer would take this for its answer
            _leave(self._running)
            self.transport.abort()
        else:
            _leave(self.cycle)
            self.transport.write(bytes(refusal))
            self._await_head()


def _leave(cycle: RequestResponseCycle | None) -> None:
    """The application has no more to say to this request."""
    if cycle:
        cycle.disconnected = True
        cycle.message_event.set()
