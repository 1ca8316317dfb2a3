"""uvicorn's WebSockets, made to cut a peer that says too much, and to be discreet."""

import asyncio

from uvicorn._types import ASGIReceiveEvent, ASGISendEvent
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from app.server.wire.patience import Patient

TOO_MANY_FRAMES = "TOO_MANY_FRAMES"
PIECE = 4096
"""Some hundred of the smallest frames, 3 ms of work."""


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
