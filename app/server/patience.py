"""uvicorn's protocols, made to cut a peer that leaves its answers unread, and to be discreet.

A transport whose buffer is full waits for the peer, and whoever sends waits with it: closing it politely waits too.
So a timer aborts it. It stops when the peer has read enough for the buffer to take more.
"""

import asyncio

import uvicorn
from starlette.types import ASGIApp
from uvicorn._types import ASGISendEvent
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol


class Config(uvicorn.Config):
    def __init__(self, app: ASGIApp, send_timeout: float, message_bytes: int) -> None:
        super().__init__(
            app,
            http=PatientHTTP,
            ws=PatientWebSocket,
            ws_max_size=message_bytes,
            ws_per_message_deflate=False,  # 40 kB a socket and twice the work, to save bandwidth that is not scarce
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="on",
            timeout_graceful_shutdown=2,
        )
        self.send_timeout = send_timeout


class Patient(asyncio.Protocol):
    config: uvicorn.Config
    transport: asyncio.Transport
    _timer: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        super().pause_writing()
        assert isinstance(self.config, Config)
        self._timer = asyncio.get_running_loop().call_later(self.config.send_timeout, self.transport.abort)

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
    pass


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
