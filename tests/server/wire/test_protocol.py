"""Limits for clients that read too slowly, or that send heads, bodies or frames without end."""

import asyncio
import json
import logging
import re
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from urllib.parse import quote

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from app.limits import TransportLimits
from app.server.wire.serve import listen
from tests.server.lines import Written
from tests.server.sockets import PROTOCOL, SocketClient, connected
from tests.server.toy import Site, codes, site, token

SIZE = 50_000
FLOOD = f"subscription {{ forever(size: {SIZE}) }}"
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="TCP_USER_TIMEOUT is Linux's")


class Stalled:
    """A client that writes, and never reads after the handshake."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    async def write(self, octets: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self._connection, octets)

    async def ask_by_event_stream(self) -> None:
        body = json.dumps({"query": FLOOD})
        lines = ["POST /graphql HTTP/1.1", "Host: x", f"Authorization: Bearer {token()}", "Accept: text/event-stream"]
        lines += [f"Content-Length: {len(body)}", "Content-Type: application/json", "", body]
        await self.write("\r\n".join(lines).encode())

    async def ask_by_websocket(self) -> None:
        lines = ["GET /graphql HTTP/1.1", "Host: x", "Connection: Upgrade", "Upgrade: websocket"]
        lines += ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"]
        lines += ["Sec-WebSocket-Protocol: graphql-transport-ws", f"Authorization: Bearer {token()}", "", ""]
        await self.write("\r\n".join(lines).encode())
        await asyncio.get_running_loop().sock_recv(self._connection, 1000)
        await self.write(frame(1, b'{"type": "connection_init"}'))
        asked = {"id": "1", "type": "subscribe", "payload": {"query": FLOOD}}
        await self.write(frame(1, json.dumps(asked).encode()))


@asynccontextmanager
async def opened(running: Site) -> AsyncIterator[ClientConnection]:
    url = f"ws://127.0.0.1:{running.port}/graphql"
    async with connect(url, subprotocols=[Subprotocol(PROTOCOL)], proxy=None) as connection:
        yield connection


Way = Callable[[Stalled], Awaitable[None]]


def frame(opcode: int, payload: bytes) -> bytes:
    """Return a frame with a mask of zeros. The frames of a client must have a mask."""
    length = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2, "big")
    return bytes([0x80 | opcode]) + length + b"\0\0\0\0" + payload


@asynccontextmanager
async def stalled(running: Site) -> AsyncIterator[Stalled]:
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", running.port))
        yield Stalled(connection)


@pytest.mark.parametrize("way", [Stalled.ask_by_websocket, Stalled.ask_by_event_stream])
async def test_a_reader_that_stalls_is_cut(way: Way) -> None:
    async with site(TransportLimits(send_timeout=0.5), user_timeout=3600) as running, stalled(running) as reader:
        await way(reader)
        await running.probe.until("forever ended")
        assert running.probe.seen["large"] * SIZE < 20_000_000  # the buffers of the kernel, and one more event


async def test_meanwhile_others_are_not_delayed() -> None:
    async with site(user_timeout=3600) as running, stalled(running) as reader, running.client() as client:
        await reader.ask_by_websocket()
        await running.probe.until("large")
        began = asyncio.get_running_loop().time()
        for _ in range(50):
            await client.post("/graphql", json={"query": "{ hello }"})
        assert asyncio.get_running_loop().time() - began < 5
        assert running.probe.seen["forever ended"] == 0


async def test_pings_of_a_stalled_reader_are_not_answered() -> None:
    async with site(TransportLimits(send_timeout=0.5), user_timeout=3600) as running, stalled(running) as reader:
        await reader.ask_by_websocket()
        await running.probe.until("large")
        for _ in range(100):
            await reader.write(frame(9, b"x" * 125) * 100)
        await running.probe.until("forever ended")


@LINUX
@pytest.mark.slow
@pytest.mark.parametrize("way", [Stalled.ask_by_websocket, Stalled.ask_by_event_stream])
async def test_the_kernel_cuts_a_stalled_reader_too(way: Way) -> None:
    async with site(TransportLimits(send_timeout=3600), user_timeout=1) as running, stalled(running) as reader:
        await way(reader)
        await running.probe.until("forever ended")


@LINUX
def test_accepted_connections_inherit_the_user_timeout() -> None:
    with listen("127.0.0.1", 0, user_timeout=7) as listener, socket.create_connection(listener.getsockname()) as client:
        accepted, _ = listener.accept()
        with accepted:
            assert listener.getsockname()[0] == "127.0.0.1"
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 7000
            assert client.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 0


def test_an_ipv6_address_can_be_listened_on() -> None:
    with listen("::1", 0) as listener:
        assert listener.family == socket.AF_INET6


async def said(running: Site, *octets: bytes) -> bytes:
    """Send each part after the answer to the one before. Return all that the server sends until it closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    heard = b""
    async with asyncio.timeout(5):
        try:
            for some in octets:
                writer.write(some)
                heard += await reader.read(10_000) if some is not octets[-1] else b""
            heard += await reader.read()
        except ConnectionResetError:
            pass
    writer.close()
    return heard


WHOLE = b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize("head", [b"", b"GET /gra", b"GET /graphql HTTP/1.1\r\nHost: x\r\nX-"])
async def test_who_does_not_finish_a_head_is_cut(head: bytes) -> None:
    async with site(TransportLimits(head_timeout=0.2)) as running:
        assert await said(running, head) == b""
        if head:
            assert (await said(running, WHOLE, head)).startswith(b"HTTP/1.1 404")


async def test_a_head_without_end_is_refused() -> None:
    async with site(TransportLimits(head_timeout=0.5)) as running:
        heard = await said(running, b"GET /graphql HTTP/1.1\r\n" + b"X-Header: value\r\n" * 10_000)
        assert heard.startswith(b"HTTP/1.1 431")
        assert codes(json.loads(heard.partition(b"\r\n\r\n")[2])) == ["HEADERS_TOO_LARGE"]


POST = b"POST /nowhere HTTP/1.1\r\nHost: x\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("asked", "more"),
    [
        (POST + b"Content-Length: 9\r\n\r\n", b"x"),
        (POST + b"Content-Length: 1\r\n\r\n", b"x"),
        (CHUNKED, b"0\r\nX-Trailer: x\r\n"),
        (WHOLE, b"\r\n"),
    ],
)
async def test_who_goes_on_after_the_answer_is_cut(asked: bytes, more: bytes) -> None:
    async with site(TransportLimits(head_timeout=0.2)) as running:
        heard = await said(running, asked, more)
        assert (heard[:12], heard.count(b"HTTP/1.1")) == (b"HTTP/1.1 404", 1)


@pytest.mark.parametrize("rest", [b"0\r\n" + b"X-Trailer: value\r\n" * 5_000, b"1;" + b"x" * 90_000])
async def test_a_body_does_not_hide_trailers_without_end(rest: bytes) -> None:
    async with site(TransportLimits(head_timeout=0.2)) as running:
        head = b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n"
        head += f"Authorization: Bearer {token()}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        heard = await said(running, head, rest)
        assert heard.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 431")


NO_HTTP = {
    "a bad length": POST + b"Content-Length: x\r\n\r\n",
    "two lengths": CHUNKED.replace(b"\r\n\r\n", b"\r\nContent-Length: 2\r\n\r\n{}"),
    "a bad chunk": CHUNKED + b"zz\r\n",
    "a control character": b"GET /graphql HTTP/1.1\r\nHost: x\r\nX-Header: a\0b\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}


@pytest.mark.parametrize("name", NO_HTTP)
async def test_what_is_no_http_is_refused_without_a_warning(
    name: str, written: Written, caplog: pytest.LogCaptureFixture
) -> None:
    async with site() as running:
        heard = await said(running, NO_HTTP[name])
        assert running.turned_away("BAD_REQUEST") == 1
    assert heard.startswith(b"HTTP/1.1 400")
    assert codes(json.loads(heard.partition(b"\r\n\r\n")[2])) == ["BAD_REQUEST"]
    assert [(line["event"], line["outcome"]) for line in written.lines] == [("request refused", "BAD_REQUEST")]
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_an_error_response_is_not_sent_while_an_earlier_request_waits() -> None:
    async with site() as running:
        assert await said(running, WHOLE + NO_HTTP["a bad length"]) == b""


async def test_a_websocket_on_a_reused_connection_stays_open() -> None:
    async with site(TransportLimits(head_timeout=0.1, init_timeout=0.5)) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(WHOLE)
        await reader.readuntil(b"Not Found\r\n")
        writer.write(HANDSHAKE)
        await reader.readuntil(b"Connection initialisation timeout")
        writer.close()


async def test_an_address_has_so_many_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "192.0.2.1")
    async with site(TransportLimits(address_connections=1, head_timeout=0.2)) as running:
        async with stalled(running):
            heard = await said(running, b"", WHOLE)
            assert heard.startswith(b"HTTP/1.1 429")
            assert codes(json.loads(heard.partition(b"\r\n\r\n")[2])) == ["TOO_MANY_CONNECTIONS"]
            assert running.turned_away("TOO_MANY_CONNECTIONS") == 1
        async with asyncio.timeout(5):
            while not (await said(running, WHOLE, b"GET")).startswith(b"HTTP/1.1 404"):
                pass


async def test_websockets_are_not_counted_as_http_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "192.0.2.1")
    async with site(TransportLimits(address_connections=1)) as running, connected(running), running.client() as client:
        assert (await client.get("/nowhere")).status_code == 404


async def test_a_trusted_proxy_has_no_connection_limit() -> None:
    async with site(TransportLimits(address_connections=1)) as running, stalled(running), running.client() as client:
        assert (await client.get("/nowhere")).status_code == 404


async def test_more_connections_than_there_may_be_are_closed() -> None:
    async with site(TransportLimits(connections=1)) as running, stalled(running), running.client() as client:
        with pytest.raises(httpx.TransportError):
            await client.get("/nowhere")
        assert running.turned_away("TOO_MANY_CONNECTIONS") == 1


async def test_requests_that_come_at_once_are_answered_in_order() -> None:
    names = [f"request-{number}" for number in range(17)]
    heads = [f"GET /graphql HTTP/1.1\r\nHost: x\r\nX-Request-ID: {name}\r\n" for name in names]
    async with site() as running:
        heard = await said(running, ("\r\n".join(heads) + "Connection: close\r\n\r\n").encode())
        assert re.findall(r"request-\d+", heard.decode()) == names


async def test_a_running_request_learns_of_a_disconnect_though_another_is_pipelined() -> None:
    query = quote("subscription { forever }")
    asked = f"GET /graphql?query={query} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n"
    async with site() as running:
        _, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(f"{asked}Authorization: Bearer {token()}\r\n\r\n".encode() + WHOLE)
        await running.probe.until("forever began")
        writer.transport.abort()
        await running.probe.until("forever ended")


async def test_who_asks_on_without_waiting_for_answers_is_cut() -> None:
    async with site() as running:
        assert await said(running, WHOLE * 10_000) == b""


PING, PONG, BEGUN, PIECE = b"\x89\x80\0\0\0\0", b"\x8a\x80\0\0\0\0", b"\x01\x80\0\0\0\0", b"\x00\x80\0\0\0\0"
FLOODS = {"pings": PING * 5000, "pongs": PONG * 5000, "pieces": BEGUN + PIECE * 5000}


@pytest.mark.parametrize("name", FLOODS)
async def test_a_flood_of_frames_that_make_no_message_closes_the_socket(name: str) -> None:
    async with site() as running, opened(running) as connection:
        connection.transport.write(FLOODS[name])
        assert (await SocketClient(connection).closed())[0] == 1008


async def test_so_does_a_message_in_too_many_pieces_however_slowly() -> None:
    async with site() as running, opened(running) as connection:
        connection.transport.write(BEGUN)
        with suppress(ConnectionClosed):
            for _ in range(4):
                connection.transport.write(PIECE * 500)
                await (await connection.ping())
        assert (await SocketClient(connection).closed())[0] == 1008


async def test_a_flood_after_the_server_has_closed_is_not_borne() -> None:
    async with site() as running:
        heard = await said(running, HANDSHAKE, frame(1, b"no message"), frame(1, b"x") * 5000)
        assert b"not valid JSON" in heard


async def test_invalid_utf_8_after_a_close_logs_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    async with site() as running:
        await said(running, HANDSHAKE, frame(1, b"no message"), frame(1, b"\xff") + frame(8, b""))
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_pings_that_are_answered_have_no_limit() -> None:
    async with site() as running, opened(running) as connection:
        for _ in range(30):
            connection.transport.write(PING * 100)
            await (await connection.ping())
        await SocketClient(connection).initialise()


async def test_messages_that_arrive_at_once_are_handled_in_order() -> None:
    async with site() as running, opened(running) as connection:
        pings = [json.dumps({"type": "ping", "payload": {"number": number}}).encode() for number in range(3000)]
        connection.transport.write(b"".join(frame(1, ping) for ping in pings))
        pongs = await SocketClient(connection).receive_all(3000)
        assert [pong["payload"]["number"] for pong in pongs] == list(range(3000))


async def test_a_closed_socket_reads_up_to_the_close_frame_of_the_client() -> None:
    async with site() as running, opened(running) as connection:
        rest = frame(1, b'{"type": "pong"}') * 500
        connection.transport.write(frame(1, b"no message") + rest + frame(8, b"\x03\xe8"))
        async with asyncio.timeout(5):  # without the close frame, the server would wait for ten
            assert (await SocketClient(connection).closed())[0] == 4400


UPGRADE = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
UPGRADE += b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
HANDSHAKE = b"GET /graphql HTTP/1.1\r\nHost: x\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n" + UPGRADE


async def test_a_websocket_is_not_opened_by_a_request_with_a_body() -> None:
    async with site() as running, running.client() as client:
        headers = {"Connection": "Upgrade", "Upgrade": "websocket"}
        answer = await client.post("/graphql", json={"query": "{ hello }"}, headers=headers)
        assert (answer.status_code, codes(answer.json())) == (400, ["BAD_REQUEST"])
        assert "Upgrade" in answer.text


async def test_a_websocket_does_not_overtake_a_request() -> None:
    async with site() as running:
        first = b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
        assert b"101" not in await said(running, first + b"GET /graphql HTTP/1.1\r\nHost: x\r\n" + UPGRADE)
