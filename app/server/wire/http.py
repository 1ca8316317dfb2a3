"""uvicorn's HTTP/1.1 protocol, with limits for heads, trailers, pipelining and connections.

uvicorn limits neither the time nor the size of heads and trailers, nor of a body that arrives after the response. An
attacker needs no token for any of these.
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
from app.server.wire.protocol import LimitedProtocol

faults = logging.getLogger("uvicorn.error.faults")
# uvicorn logs a warning for each malformed request, so a stranger could fill the log.
faults.setLevel(logging.ERROR)


@dataclass(frozen=True, slots=True)
class ErrorResponse:
    """An HTTP response that is written without the application."""

    status: str
    code: str
    message: str

    def __bytes__(self) -> bytes:
        body = orjson.dumps({"errors": [{"message": self.message, "extensions": {"code": self.code}}]})
        head = f"HTTP/1.1 {self.status}\r\nconnection: close\r\ncontent-type: application/json; charset=utf-8\r\n"
        return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


HEAD_TOO_LARGE = ErrorResponse(
    "431 Request Header Fields Too Large", "HEADERS_TOO_LARGE", "The head of the request is too large"
)
TOO_MANY_CONNECTIONS = ErrorResponse("429 Too Many Requests", "TOO_MANY_CONNECTIONS", "Too many connections")
UPGRADE_WITH_BODY = ErrorResponse("400 Bad Request", "BAD_REQUEST", "A request with a body can't ask for an Upgrade")
MALFORMED = ErrorResponse("400 Bad Request", "BAD_REQUEST", "The request is not HTTP/1.1")


class LimitedHTTP(LimitedProtocol, HttpToolsProtocol):
    WRITTEN_AGAINST = "uvicorn 0.54.0"

    _head_timer: asyncio.TimerHandle | None = None
    """Runs while the rest of a head is awaited, or the rest of a request that already has its response."""
    _idle_bytes = 0
    """Bytes received since the application was last given a head or a part of a body."""
    _refused = False
    _running: RequestResponseCycle | None = None
    """The request that the application handles now.

    uvicorn tells only the latest request that the client has left. With pipelining that may be another one.
    """

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        self.logger = faults
        self._slot = ExitStack()
        if len(self.connections) > self._limits.connections:
            self._report_refusal(TOO_MANY_CONNECTIONS.code)
            self.transport.abort()
        self._take_slot()
        self._start_head_timer()

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        self._idle_bytes += len(data)
        super().data_received(data)
        if self._idle_bytes > self._limits.head_bytes and not self._refused:
            self._refuse(HEAD_TOO_LARGE)
        if self._is_answered() and self.transport.get_protocol() is self:
            self._start_head_timer()  # uvicorn stops its keep-alive timer at the first byte that it receives

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._start_head_timer()

    def on_headers_complete(self) -> None:
        self._stop_head_timer()
        self._idle_bytes = 0
        if len(self.pipeline) >= self._limits.pipelined:
            raise HttpParserCallbackError  # uvicorn stops parsing and calls `send_400_response`
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._idle_bytes = 0
        super().on_body(body)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def connection_lost(self, exc: Exception | None) -> None:
        _disconnect(self._running)
        self._stop_head_timer()
        self._slot.close()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        if self.cycle and not self._is_answered():  # the handshake's response would overtake the earlier response
            self.transport.close()
        else:
            self._slot.close()  # the endpoint counts WebSockets in a quota of its own
            super().handle_websocket_upgrade()

    def _should_upgrade(self) -> bool:
        return not self._has_body() and super()._should_upgrade()

    def _unsupported_upgrade_warning(self) -> None:
        """Refuse a request with a body that asks for an upgrade, because the parser skips its body.

        Any other unsupported upgrade is ignored, as HTTP allows.
        """
        if self._has_body():
            self.cycle.more_body = True
            self._refuse(UPGRADE_WITH_BODY)
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        self._refuse(MALFORMED)
        self.transport.close()

    def _has_body(self) -> bool:
        return any(name in (b"content-length", b"transfer-encoding") for name, _ in self.headers)

    def _take_slot(self) -> None:
        """Count this connection for its client address.

        A trusted proxy is not limited, because it connects for many clients.
        """
        if self.client and self.client[0] in self._config.proxies:
            return
        try:
            self._slot.enter_context(self._config.addresses.slot(address_key(self.client)))
        except QuotaExceeded:
            self._refuse(TOO_MANY_CONNECTIONS)
            self.transport.close()

    def _start_head_timer(self) -> None:
        if self._head_timer is None:
            loop = asyncio.get_running_loop()
            self._head_timer = loop.call_later(self._limits.head_timeout, self.transport.abort)

    def _stop_head_timer(self) -> None:
        if self._head_timer:
            self._head_timer.cancel()
            self._head_timer = None

    def _is_answered(self) -> bool:
        return self.cycle is not None and self.cycle.response_complete

    def _awaits_response(self) -> bool:
        """Whether a complete request waits for its response."""
        return self.cycle is not None and not self._is_answered() and not self._is_arriving()

    def _is_arriving(self) -> bool:
        return self.cycle.more_body and not self.cycle.response_started and not self.pipeline

    def _refuse(self, response: ErrorResponse) -> None:
        """Write an error response, or abort the connection if the client would take it for an earlier response.

        Don't close yet: the client may still be sending, and a reset would destroy our response.
        """
        self._refused = True
        self._report_refusal(response.code)
        if self._awaits_response():
            _disconnect(self._running)
            self.transport.abort()
        else:
            _disconnect(self.cycle)
            self.transport.write(bytes(response))
            self._start_head_timer()


def _disconnect(cycle: RequestResponseCycle | None) -> None:
    """Tell the application that the client has left. What it still sends for this request is dropped."""
    if cycle:
        cycle.disconnected = True
        cycle.message_event.set()
