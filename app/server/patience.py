"""uvicorn's protocols, made to cut a peer that says or reads too little or says too much, and to be discreet.

A transport whose buffer is full waits for the peer, and whoever sends waits with it: closing it politely waits too.
So a timer aborts it. It stops when the peer has read enough for the buffer to take more.

Before the head of a request has come nobody has signed in, and uvicorn waits for ever for as much as there may be.
"""

import asyncio

import orjson
import uvicorn
from starlette.types import ASGIApp
from uvicorn._types import ASGISendEvent
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from app.server.limits import TransportLimits


def _refusal(status: str, code: str, message: str) -> bytes:
    body = orjson.dumps({"errors": [{"message": message, "extensions": {"code": code}}]})
    head = f"HTTP/1.1 {status}\r\nconnection: close\r\ncontent-type: application/json; charset=utf-8\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


TOO_LARGE = _refusal("431 Request Header Fields Too Large", "HEADERS_TOO_LARGE", "The head of the request is too large")
NO_UPGRADE = _refusal("400 Bad Request", "BAD_REQUEST", "A request with a body can't ask for an Upgrade")


class Config(uvicorn.Config):
    def __init__(self, app: ASGIApp, limits: TransportLimits) -> None:
        super().__init__(
            app,
            http=PatientHTTP,
            ws=PatientWebSocket,
            ws_max_size=limits.body_bytes,
            ws_per_message_deflate=False,  # 40 kB a socket and twice the work, to save bandwidth that is not scarce
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="on",
            reset_contextvars=True,  # a pipelined request would begin with the ids of the one before it
            timeout_graceful_shutdown=2,
        )
        self.limits = limits


class Patient(asyncio.Protocol):
    config: uvicorn.Config
    transport: asyncio.Transport
    _timer: asyncio.TimerHandle | None = None

    @property
    def _limits(self) -> TransportLimits:
        assert isinstance(self.config, Config)
        return self.config.limits

    def pause_writing(self) -> None:
        super().pause_writing()
        self._timer = asyncio.get_running_loop().call_later(self._limits.send_timeout, self.transport.abort)

    def resume_writing(self) -> None:
        self._stop()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def _stop(self) -> None:
        if self._timer:
            self._timer.cancel()


class PatientHTTP(Patient, HttpToolsProtocol):
    _head_timer: asyncio.TimerHandle | None = None
    """Runs while a head is awaited."""
    _head_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        if len(self.connections) > self._limits.connections:
            self.transport.abort()
        self._await_head()

    def data_received(self, data: bytes) -> None:
        if self._head_bytes > self._limits.head_bytes:
            return  # refused; to close at once would take the answer away from a peer that is still talking
        awaited = self._head_timer
        super().data_received(data)
        if awaited and awaited is self._head_timer:
            self._count(len(data))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._await_head()

    def on_headers_complete(self) -> None:
        self._stop_waiting()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        if self.cycle and not self.cycle.response_complete:  # it would answer before the request that came first
            self.transport.close()
        else:
            super().handle_websocket_upgrade()

    def _should_upgrade(self) -> bool:
        return not self._has_body() and super()._should_upgrade()

    def _unsupported_upgrade_warning(self) -> None:
        """Any other is passed over; but the parser leaves out the body of a request that asks for an upgrade."""
        if self._has_body():
            self.cycle.disconnected = True
            self.transport.write(NO_UPGRADE)
            self.transport.close()

    def _has_body(self) -> bool:
        return any(name in (b"content-length", b"transfer-encoding") for name, _ in self.headers)

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_bytes = 0
            loop = asyncio.get_running_loop()
            self._head_timer = loop.call_later(self._limits.head_timeout, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._head_timer:
            self._head_timer.cancel()
            self._head_timer = None

    def _count(self, received: int) -> None:
        self._head_bytes += received
        if self._head_bytes > self._limits.head_bytes:
            self.transport.write(TOO_LARGE)


class PatientWebSocket(Patient, WebSocketsSansIOProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.conn.debug = False  # it would log what is said, tokens and all
        super().connection_made(transport)

    async def send(self, message: ASGISendEvent) -> None:
        await self.writable.wait()
        if self.close_sent:  # the peer broke the protocol, and uvicorn would take what we say next for a bug of ours
            raise ClientDisconnected
        await super().send(message)

    def handle_ping(self) -> None:
        if self.writable.is_set():
            super().handle_ping()
        else:  # pongs to a peer that reads nothing would pile up
            self.conn.data_to_send()

    def send_receive_event_to_app(self) -> None:
        if self.curr_msg_data_type == "text" and not _is_text(b"".join(self.frames)):
            self.conn.send_close(1007)  # as uvicorn does, but it logs a trace: clients could fill the log
            self.handle_parser_exception()
        else:
            super().send_receive_event_to_app()


def _is_text(octets: bytes) -> bool:
    try:
        octets.decode()
    except UnicodeDecodeError:
        return False
    return True
