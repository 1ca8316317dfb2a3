"""Octets that are almost a request: in the body, in the address, and in the frames of a WebSocket."""

import json
import socket
from collections import Counter
from contextlib import closing, suppress
from http.client import HTTPConnection
from urllib.parse import quote

import pytest
from websockets.client import ClientProtocol
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from tests.fuzz.asking import Asker
from tests.fuzz.flooding import flood
from tests.fuzz.spoiling import Spoiler
from tests.stories.desk import CALLED, STARTED, tel
from tests.watching import Watched

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

TRANSFERS = """
    query Page($first: Int = 3, $statuses: [Status!]) {
        viewer { ...who } transfers(first: $first, filter: {statuses: $statuses}) {
            totalCount eventCursor nodes { id status attempts { outcome address { target } } heldCalls { id } }
        }
    }
    fragment who on Viewer { customerId now }
"""
START = {
    "type": "BLIND",
    "transfererCallId": "b7a1ccb0-1f2e-4b3a-9a6f-6f3d0f6f0a01",
    "transfereeAddresses": [tel("+15551230100"), {"type": "SIP", "target": "Ünïcode@example.org"}],
    "metadata": [],
    "ringTimeout": 30,
}
ASKED: list[dict[str, object]] = [
    {"query": TRANSFERS, "variables": {"first": 2, "statuses": ["RINGING"]}, "operationName": "Page"},
    {"query": "{ __schema { types { name fields { name } } } }", "extensions": {"a": [1, 2, {}]}},
    # This call is refused: real calls would stay, and would hide a leak in the server.
    {"query": CALLED, "variables": {"input": {"caller": tel("+15551230000"), "agent": tel("+1")}}},
    {"query": STARTED, "variables": {"input": START}},
    {"query": '{ node(id: "\\u0041\\n") { __typename ... on Call @include(if: true) { id } } }'},
]
BODIES = [json.dumps(asked, ensure_ascii=False).encode() for asked in ASKED]
DOCUMENTS = [str(asked["query"]).encode() for asked in ASKED]
MESSAGES = [
    *(b'{"type":"ping"}', b'{"type":"pong","payload":{"a":1}}', b'{"type":"complete","id":"1"}'),
    *(b'{"type":"subscribe","id":"%d","payload":%b}' % (n, body) for n, body in enumerate(BODIES)),
    b'{"type":"subscribe","id":"s","payload":{"query":"subscription { transferEvents { cursor transfer { id } } }"}}',
    b'{"type":"subscribe","id":"c","payload":{"query":"subscription { callChanged { kind call { id } } }"}}',
]
JSON_TYPES = ("application/json", "application/json; charset=utf-8", "text/plain", "application/json; charset=latin-1")
OUR_FAULT = {1011, 1013, 4500}


def test_bodies_and_addresses(server: Watched, asker: Asker, soak: bool) -> None:
    bodies, documents, seen = Spoiler(1, BODIES), Spoiler(2, DOCUMENTS), Counter[int]()

    def send(count: int) -> None:
        for _ in range(count):
            octets = bodies.spoiled() if bodies.dice.random() < 0.6 else wrapped(documents.spoiled())
            method, path, body, kind = request(bodies, octets)
            http.request(method, path, body, {"Authorization": asker.authorization(), "Content-Type": kind})
            answer = http.getresponse()
            asker.check(answer.status, answer.read(), octets)
            seen[answer.status] += 1

    with closing(HTTPConnection("127.0.0.1", server.port, timeout=60)) as http:
        flood(server, 46_000 if soak else 600, send)
    print(seen.most_common())


def wrapped(document: bytes) -> bytes:
    """Return a well-formed body with this document."""
    return json.dumps({"query": document.decode(errors="replace")}).encode()


def request(spoiler: Spoiler, octets: bytes) -> tuple[str, str, bytes | None, str]:
    """Return the method, path, body and content type of a request."""
    if spoiler.dice.random() < 0.1:
        return "GET", f"/graphql?query={quote(octets[:5_000])}", None, JSON_TYPES[0]
    return "POST", "/graphql", octets, spoiler.dice.choices(JSON_TYPES, (20, 1, 1, 1))[0]


def test_frames(server: Watched, asker: Asker, soak: bool) -> None:
    messages, frames = Spoiler(3, MESSAGES), Spoiler(4, [frame(message) for message in MESSAGES])
    seen = Counter[int | None]()

    def send(count: int) -> None:
        for _ in range(count):
            said = conversation(messages, frames, asker)
            code = spoken(server.port, said)
            assert code not in OUR_FAULT, (code, said)
            seen[code] += 1

    flood(server, 40_000 if soak else 500, send)
    print(seen.most_common())


def conversation(messages: Spoiler, frames: Spoiler, asker: Asker) -> bytes:
    """Return the bytes of some frames. The last is malformed: its message, or the frame itself."""
    greeting = {"type": "connection_init", "payload": {"Authorization": asker.authorization()}}
    said = [frame(json.dumps(greeting).encode())] if messages.dice.random() < 0.9 else []
    said += [frames.good() for _ in range(messages.dice.randrange(4))]
    last = frame(messages.spoiled()) if messages.dice.random() < 0.7 else frames.spoiled()
    return b"".join((*said, last))


def frame(payload: bytes) -> bytes:
    """Return a text frame. It is masked, as a client's must be."""
    mask, size = b"\x01\x02\x03\x04", len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    return b"\x81" + length + mask + bytes(octet ^ mask[n % 4] for n, octet in enumerate(payload))


def spoken(port: int, said: bytes) -> int | None:
    """Send these bytes and no more, and return the server's close code. None: it closes without one."""
    uri = parse_uri(f"ws://127.0.0.1:{port}/graphql")
    client = ClientProtocol(uri, subprotocols=[Subprotocol("graphql-transport-ws")])
    client.send_request(client.connect())
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(b"".join(client.data_to_send()))
        while client.state is State.CONNECTING:
            client.receive_data(heard(connection))
        with suppress(ConnectionError):  # the server has closed already
            connection.sendall(said)
            connection.shutdown(socket.SHUT_WR)
            while octets := connection.recv(65_536):
                client.receive_data(octets)
    return client.close_rcvd.code if client.close_rcvd else None


def heard(connection: socket.socket) -> bytes:
    octets = connection.recv(65_536)
    assert octets, "no handshake"
    return octets
