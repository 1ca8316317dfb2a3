"""uvicorn's protocols, made to cut a peer that says or reads too little or says too much, and to be discreet.

A transport whose buffer is full waits for the peer, and whoever sends waits with it: closing it politely waits too.
So a timer aborts it. It stops when the peer has read enough for the buffer to take more.

Before the head of a request has come nobody has signed in, and uvicorn waits for ever for as much as there may be. So
it does for the rest of a request that has had its answer, and for trailers.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

import orjson
import uvicorn
from httptools import HttpParserCallbackError
from starlette.types import ASGIApp
from uvicorn._types import ASGIReceiveEvent, ASGISendEvent
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from app.server.limits import TransportLimits
from app.server.places import Crowded, Places, line_of

logger = logging.getLogger(__name__)
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
TOO_MANY_FRAMES = "TOO_MANY_FRAMES"
PIECE = 4096
"""Of what came by a WebSocket: some hundred of the smallest frames, 3 ms of work."""
MALFORMED = Refusal("400 Bad Request", "BAD_REQUEST", "The request is not HTTP/1.1")


TurnedAway = Callable[[str], None]
"""Is told the code of each refusal: the application never hears of those."""


class Config(uvicorn.Config):
    def __init__(self, app: ASGIApp, limits: TransportLimits, turned_away: TurnedAway = lambda code: None) -> None:
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
        self.turned_away = turned_away
        self.lines = Places(limits.sockets_per_address)
        # The application is not asked; it is typed in uvicorn's own words, which Starlette's do not match.
        self.proxies = ProxyHeadersMiddleware(app, self.forwarded_allow_ips).trusted_hosts  # type: ignore[arg-type]


class Patient(asyncio.Protocol):
    config: uvicorn.Config
    transport: asyncio.Transport
    _timer: asyncio.TimerHandle | None = None

    @property
    def _own(self) -> Config:
        assert isinstance(self.config, Config)
        return self.config

    @property
    def _limits(self) -> TransportLimits:
        return self._own.limits

    def _tell(self, code: str) -> None:
        logger.info("request refused", extra={"outcome": code})
        self._own.turned_away(code)

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
    """Runs while a head is awaited, or the rest of a request that has had its answer."""
    _idle_bytes = 0
    """Received since the application was last given something: a head, or a piece of a body."""
    _refused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        self.logger = faults
        self._place = ExitStack()
        if len(self.connections) > self._limits.connections:
            self._tell(CROWDED.code)
            self.transport.abort()
        self._take_place()
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

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._place.close()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        if self.cycle and not self._is_answered():  # it would answer before the request that came first
            self.transport.close()
        else:
            self._place.close()  # a WebSocket takes one of its own
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

    def _take_place(self) -> None:
        """The connections of a proxy that we believe are many clients'."""
        if self.client and self.client[0] in self._own.proxies:
            return
        try:
            self._place.enter_context(self._own.lines.one(line_of(self.client)))
        except Crowded:
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
            self.transport.abort()
        else:
            self._give_up()
            self.transport.write(bytes(refusal))
            self._await_head()

    def _give_up(self) -> None:
        """The application has no more to say to the request that is arriving."""
        if self.cycle:
            self.cycle.disconnected = True
            self.cycle.message_event.set()


class PatientWebSocket(Patient, WebSocketsSansIOProtocol):
    """uvicorn stops reading when there is a message for the application, but takes in all that came with it, and all
    that makes no message (pings, pongs, pieces of one). This one lets the rest wait, and counts what makes none.
    """

    _idle_frames = 0
    """In what was read at once, or since the application has taken a message from it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.conn.debug = False  # it would log what is said, tokens and all
        self._unheard = bytearray()
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        self._unheard += data
        self._hear()

    async def receive(self) -> ASGIReceiveEvent:
        event = await super().receive()
        self._hear()
        return event

    def _hear(self) -> None:
        self._idle_frames = 0
        while self._unheard and not self.read_paused and not self.transport.is_closing():
            piece = bytes(self._unheard[:PIECE])
            del self._unheard[:PIECE]
            super().data_received(piece)

    def handle_events(self) -> None:
        self._idle_frames += len(self.conn.events)
        if max(self._idle_frames, len(self.frames)) > self._limits.idle_frames:
            self._break_off()
        else:
            super().handle_events()

    def _break_off(self) -> None:
        self._tell(TOO_MANY_FRAMES)
        self.conn.fail(1008, "Too many frames without a message")
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.transport.close()

    async def send(self, message: ASGISendEvent) -> None:
        await self.writable.wait()
        if self.close_sent:  # the peer broke the protocol, and uvicorn would take what we say next for a bug of ours
            raise ClientDisconnected
        await super().send(message)
        self._hear()  # after a close it is read on, up to the peer's own

    def handle_ping(self) -> None:
        if self.writable.is_set():
            super().handle_ping()
        else:  # pongs to a peer that reads nothing would pile up
            self.conn.data_to_send()

    def send_receive_event_to_app(self) -> None:
        if self.close_sent:
            super().send_receive_event_to_app()  # which drops it
        elif self.curr_msg_data_type == "text" and not _is_text(b"".join(self.frames)):
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
