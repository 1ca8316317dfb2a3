"""uvicorn's WebSocket protocol, with limits for frames without a message, and a log that holds nothing clients send."""

import asyncio

from uvicorn._types import ASGIReceiveEvent, ASGISendEvent
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from app.server.wire.protocol import LimitedProtocol

TOO_MANY_FRAMES = "TOO_MANY_FRAMES"
CHUNK_BYTES = 4096
"""How much is parsed at once: some hundred of the smallest frames, 3 ms of work."""


class LimitedWebSocket(LimitedProtocol, WebSocketsSansIOProtocol):
    """A WebSocket connection that parses no more than the application takes.

    uvicorn stops reading when a message waits for the application, but it parses everything that it has already read.
    For frames that complete no message (pings, pongs, fragments) it never stops reading.

    This class parses small chunks, and keeps the rest until the application has taken the message. It closes a
    connection with too many frames that complete no message.
    """

    WRITTEN_AGAINST = "uvicorn 0.54.0, websockets 17.4"

    _idle_frames = 0
    """Frames parsed since the last read, or since the application last took a message."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.conn.debug = False  # websockets would log every frame, and so the tokens in them
        self._unparsed = bytearray()
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        self._unparsed += data
        self._parse()

    async def receive(self) -> ASGIReceiveEvent:
        event = await super().receive()
        self._parse()
        return event

    def _parse(self) -> None:
        """Parse what has been read, until a message waits for the application."""
        self._idle_frames = 0
        while self._unparsed and not self.read_paused and not self.transport.is_closing():
            chunk = bytes(self._unparsed[:CHUNK_BYTES])
            del self._unparsed[:CHUNK_BYTES]
            super().data_received(chunk)

    def handle_events(self) -> None:
        self._idle_frames += len(self.conn.events)
        if max(self._idle_frames, len(self.frames)) > self._limits.idle_frames:
            self._refuse()
        else:
            super().handle_events()

    def _refuse(self) -> None:
        self._report_refusal(TOO_MANY_FRAMES)
        self.conn.fail(1008, "Too many frames without a message")
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.transport.close()

    async def send(self, message: ASGISendEvent) -> None:
        await self.writable.wait()
        if self.close_sent:  # uvicorn has closed after a protocol error; its `send` would raise a RuntimeError
            raise ClientDisconnected
        await super().send(message)
        self._parse()  # after our close frame, read up to the client's close frame

    def handle_ping(self) -> None:
        if self.writable.is_set():
            super().handle_ping()
        else:  # drop the pong: it would pile up, because the client reads nothing
            self.conn.data_to_send()

    def send_receive_event_to_app(self) -> None:
        if self.close_sent:
            super().send_receive_event_to_app()  # discards the message
        elif self.curr_msg_data_type == "text" and not _is_text(b"".join(self.frames)):
            self.conn.send_close(1007)  # as uvicorn does, but without its stack trace: clients could fill the log
            self.handle_parser_exception()
        else:
            super().send_receive_event_to_app()


def _is_text(octets: bytes) -> bool:
    try:
        octets.decode()
    except UnicodeDecodeError:
        return False
    return True
