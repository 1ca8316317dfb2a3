"""graphql-transport-ws, message by message, against a running server."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, cast

import httpx
import pytest
import pytest_asyncio
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from app.domain.viewer import Permission, Viewer
from app.limits import TransportLimits
from app.server.errors import Unavailable
from tests.server.lines import Written
from tests.server.sockets import PROTOCOL, SocketClient, connected, initialised
from tests.server.toy import CUSTOMER, OTHER_CUSTOMER, Site, authorization, codes, site, token

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def running() -> AsyncIterator[Site]:
    async with site() as running:
        yield running


# Authentication


async def test_tokens_are_not_logged(running: Site, caplog: pytest.LogCaptureFixture) -> None:
    secret = token(subject="somebody")
    with caplog.at_level(logging.DEBUG, "uvicorn"), caplog.at_level(logging.DEBUG, "app"):
        async with connected(running, **authorization(secret)) as client:
            await client.initialise(secret)
            await client.send({"type": "ping", "payload": authorization(secret)}, {"type": "connection_init"})
            await client.closed()
    ours = [record for record in caplog.records if not record.name.startswith("websockets")]
    assert ours
    assert not any(secret in record.getMessage() for record in ours)


@pytest.mark.parametrize("name", ["Authorization", "authorization", "AUTHORIZATION"])
async def test_a_token_in_connection_init_is_accepted(running: Site, name: str) -> None:
    async with connected(running) as client:
        await client.send({"type": "connection_init", "payload": {name: f"Bearer {token()}"}})
        assert await client.receive() == {"type": "connection_ack"}


@pytest.mark.parametrize("message", [{}, {"payload": None}, {"payload": {}}, {"payload": {"a": 1}}])
async def test_a_token_in_the_handshake_is_accepted(running: Site, message: dict[str, Any]) -> None:
    async with connected(running, **authorization()) as client:
        await client.send({"type": "connection_init", **message})
        assert await client.receive() == {"type": "connection_ack"}


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"payload": None},
        {"payload": {"Authorization": None}},
        {"payload": {"Authorization": 5}},
        {"payload": {"Authorization": [f"Bearer {token()}"]}},
        {"payload": {"Authorization": "Bearer nonsense"}},
        {"payload": authorization(token(ttl=-1))},
    ],
)
async def test_a_session_without_a_valid_token_is_closed(running: Site, message: dict[str, Any]) -> None:
    async with connected(running) as client:
        await client.send({"type": "connection_init", **message})
        assert await client.closed() == (4403, "Forbidden")


async def test_a_token_in_connection_init_wins_over_one_in_the_handshake(running: Site) -> None:
    async with connected(running, **authorization(token(subject="bob"))) as client:
        await client.initialise(token(subject="alice"))
        await client.subscribe("{ viewer }")
        assert (await client.receive())["payload"] == {"data": {"viewer": "alice"}}


async def test_a_client_should_try_again_when_keys_are_unavailable() -> None:
    async def authenticate(token: str) -> Viewer:
        raise Unavailable("Later")

    async with site(authenticate=authenticate) as running, connected(running, **authorization()) as client:
        await client.send({"type": "connection_init"})
        assert await client.closed() == (1013, "Try again later")


async def test_an_internal_error_closes_the_socket_without_details() -> None:
    async def authenticate(token: str) -> Viewer:
        raise ZeroDivisionError("a secret in a message")

    async with site(authenticate=authenticate) as running, connected(running, **authorization()) as client:
        await client.send({"type": "connection_init"})
        assert await client.closed() == (4500, "Internal server error")


@pytest.mark.parametrize("protocol", [None, "graphql-ws", "chat"])
async def test_other_subprotocols_are_not_acceptable(running: Site, protocol: str | None) -> None:
    async with connected(running, protocol) as client:
        assert await client.closed() == (4406, "Subprotocol not acceptable")


async def test_one_must_say_who_one_is_in_time() -> None:
    async with site(TransportLimits(init_timeout=0.05)) as running, connected(running) as client:
        assert await client.closed() == (4408, "Connection initialisation timeout")


async def test_an_operation_before_connection_init_closes_the_socket(running: Site) -> None:
    async with connected(running) as client:
        await client.subscribe("{ hello }")
        assert await client.closed() == (4401, "Unauthorized")


@pytest.mark.parametrize("wait", [True, False])
async def test_a_second_connection_init_closes_the_socket(running: Site, wait: bool) -> None:
    async with connected(running) as client:
        if wait:
            await client.initialise()
        else:
            await client.send({"type": "connection_init", "payload": authorization()})
        await client.send({"type": "connection_init", "payload": authorization()})
        assert await client.closed() == (4429, "Too many initialisation requests")


# Origins


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", "file://"])
async def test_pages_of_other_origins_are_refused(running: Site, origin: str) -> None:
    with pytest.raises(InvalidStatus) as refusal:
        async with connected(running, origin=origin):
            pass
    assert refusal.value.response.status_code == 403


async def test_pages_of_the_same_origin_are_allowed(running: Site) -> None:
    async with connected(running, origin=f"http://127.0.0.1:{running.port}") as client:
        await client.initialise()


async def test_pages_of_listed_origins_are_allowed() -> None:
    limits = TransportLimits(allowed_origins=("https://app.example",))
    async with site(limits) as running, connected(running, origin="https://app.example") as client:
        await client.initialise()


@pytest.mark.parametrize("origin", ["http://localhost:5173", "http://127.0.0.1:1", "http://[::1]:3000"])
async def test_pages_of_loopback_origins_can_be_allowed(origin: str) -> None:
    async with site(TransportLimits(loopback_origins=True)) as running, connected(running, origin=origin) as client:
        await client.send({"type": "connection_init"})
        assert await client.closed() == (4403, "Forbidden")  # a token is still required


async def test_the_log_names_the_setting_that_lets_a_refused_page_open_a_socket(
    running: Site, written: Written
) -> None:
    with pytest.raises(InvalidStatus):
        await connected(running, origin="http://localhost:5173").__aenter__()
    assert written.lines[-1]["outcome"] == "ORIGIN_NOT_ALLOWED"
    assert written.lines[-1]["origin"] == "http://localhost:5173"
    assert "TRANSFERS_ALLOWED_ORIGINS" in written.lines[-1]["hint"]


# Refused WebSockets are counted, as refused requests are


INIT = {"type": "connection_init", "payload": authorization()}
ASK = {"id": "1", "type": "subscribe", "payload": {"query": "subscription { forever }"}}


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        ([{"type": "connection_init"}], "UNAUTHENTICATED"),
        ([ASK], "UNAUTHENTICATED"),
        ([INIT, {"type": "ping", "payload": authorization(token(subject="bob"))}], "FORBIDDEN"),
        ([{"type": "nonsense"}], "BAD_REQUEST"),
        ([INIT, INIT], "BAD_REQUEST"),
        ([INIT, ASK, ASK], "BAD_REQUEST"),
    ],
)
async def test_a_refused_socket_is_counted_by_error_code(running: Site, messages: list[object], code: str) -> None:
    before = running.turned_away(code)
    async with connected(running) as client:
        await client.send(*messages)
        await client.closed()
    assert running.turned_away(code) == before + 1


async def test_a_socket_of_another_origin_or_protocol_is_counted(running: Site) -> None:
    with pytest.raises(InvalidStatus):
        await connected(running, origin="https://evil.example").__aenter__()
    async with connected(running, "graphql-ws") as client:
        await client.closed()
    assert running.turned_away("ORIGIN_NOT_ALLOWED") >= 1
    assert running.turned_away("NOT_ACCEPTABLE") >= 1


async def test_a_silent_socket_is_counted() -> None:
    async with site(TransportLimits(init_timeout=0.05)) as running, connected(running) as client:
        await client.closed()
        assert running.turned_away("REQUEST_TIMEOUT") == 1


@pytest.mark.parametrize("limits", [TransportLimits(customer_connections=1), TransportLimits(address_connections=1)])
async def test_a_socket_beyond_the_quota_is_counted(limits: TransportLimits) -> None:
    async with site(limits) as running, initialised(running), connected(running) as client:
        with suppress(ConnectionClosed):
            await client.send(INIT)
        await client.closed()
        assert running.turned_away("TOO_MANY_CONNECTIONS") == 1


async def test_an_operation_beyond_the_limit_is_counted() -> None:
    async with site(TransportLimits(operations_per_socket=1)) as running, initialised(running) as client:
        await client.send(ASK, ASK | {"id": "2"})
        await client.receive_all(2)
        assert running.turned_away("TOO_MANY_OPERATIONS") == 1


async def test_the_log_of_a_refused_socket_names_the_customer(written: Written) -> None:
    async with site() as running, initialised(running) as client:
        await client.send({"type": "nonsense"})
        await client.closed()
    refusal, end = written.lines
    assert refusal["outcome"] == "BAD_REQUEST"
    assert end["event"] == "Closed a WebSocket: 4400"
    assert refusal["customer_id"] == end["customer_id"] == CUSTOMER
    assert refusal["request_id"] == end["request_id"]


# Messages that break the protocol

BAD_FRAMES = {
    "nothing": "",
    "no JSON": "{",
    "an array": "[]",
    "a string": '"x"',
    "a number": "5",
    "null": "null",
    "deep nesting": "[" * 90_000,
    "no type": "{}",
    "a type of 1": '{"type": 1}',
    "a type of []": '{"type": []}',
    "an unknown type": '{"type": "start", "id": "1", "payload": {"query": "{ hello }"}}',
    "a ping of x": '{"type": "ping", "payload": "x"}',
    "a pong of 1": '{"type": "pong", "payload": 1}',
    "no id": '{"type": "subscribe", "payload": {"query": "{ hello }"}}',
    "an empty id": '{"type": "subscribe", "id": "", "payload": {"query": "{ hello }"}}',
    "an id of 1": '{"type": "subscribe", "id": 1, "payload": {"query": "{ hello }"}}',
    "an id of {}": '{"type": "subscribe", "id": {}, "payload": {"query": "{ hello }"}}',
    "a huge id": json.dumps({"type": "subscribe", "id": "x" * 80_000, "payload": {"query": "{ hello }"}}),
    "no payload": '{"type": "subscribe", "id": "1"}',
    "a payload of null": '{"type": "subscribe", "id": "1", "payload": null}',
    "a payload of x": '{"type": "subscribe", "id": "1", "payload": "x"}',
    "a payload of []": '{"type": "subscribe", "id": "1", "payload": []}',
    "no query": '{"type": "subscribe", "id": "1", "payload": {}}',
    "a query of 1": '{"type": "subscribe", "id": "1", "payload": {"query": 1}}',
    "variables of []": '{"type": "subscribe", "id": "1", "payload": {"query": "{ hello }", "variables": []}}',
    "a name of 1": '{"type": "subscribe", "id": "1", "payload": {"query": "{ hello }", "operationName": 1}}',
    "extensions of x": '{"type": "subscribe", "id": "1", "payload": {"query": "{ hello }", "extensions": "x"}}',
    "a complete without id": '{"type": "complete"}',
    "a complete with an id of 1": '{"type": "complete", "id": 1}',
}


@pytest.mark.parametrize("name", BAD_FRAMES)
async def test_an_invalid_message_closes_the_socket(running: Site, name: str) -> None:
    async with initialised(running) as client:
        await client.send_raw(BAD_FRAMES[name])
        code, reason = await client.closed()
    assert code == 4400
    assert reason


@pytest.mark.parametrize("payload", ["x", 5, [], True])
async def test_a_connection_init_with_a_bad_payload_closes_the_socket(running: Site, payload: object) -> None:
    async with connected(running, **authorization()) as client:
        await client.send({"type": "connection_init", "payload": payload})
        assert (await client.closed())[0] == 4400


async def test_a_binary_message_closes_the_socket(running: Site) -> None:
    async with initialised(running) as client:
        await client.send_raw(b'{"type": "ping"}')
        assert (await client.closed())[0] == 4400


async def test_a_message_may_not_be_too_large(running: Site) -> None:
    async with initialised(running) as client:
        await client.subscribe(" " * 100_000)
        assert (await client.closed())[0] == 1009


@pytest.mark.parametrize("frame", [b"\x81\x81\0\0\0\0\xff", b"\x01\x81\0\0\0\0\xc3\x80\x81\0\0\0\0("])
async def test_invalid_utf_8_closes_the_socket_without_a_warning(
    running: Site, caplog: pytest.LogCaptureFixture, frame: bytes
) -> None:
    url = f"ws://127.0.0.1:{running.port}/graphql"
    async with connect(url, subprotocols=[Subprotocol(PROTOCOL)], proxy=None) as connection:
        connection.transport.write(frame)
        assert (await SocketClient(connection).closed())[0] == 1007
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_an_id_that_is_in_use_closes_the_socket(running: Site) -> None:
    async with initialised(running) as client:
        await client.subscribe("subscription { forever }", "é" * 100)
        await client.subscribe("{ hello }", "é" * 100)
        code, reason = await client.closed()
    assert code == 4409
    assert reason.startswith("Subscriber for éé")


# Pings


async def test_a_ping_is_answered_with_its_payload(running: Site) -> None:
    async with connected(running) as client:
        await client.send({"type": "ping"}, {"type": "ping", "payload": {"a": [1]}}, {"type": "ping", "payload": None})
        pongs = await client.receive_all(3)
        await client.initialise()
    assert pongs == [{"type": "pong"}, {"type": "pong", "payload": {"a": [1]}}, {"type": "pong"}]


async def test_an_unsolicited_pong_is_ignored(running: Site) -> None:
    async with initialised(running) as client:
        await client.send({"type": "pong"}, {"type": "pong", "payload": {"a": 1}})
        assert await client.still_works()


DEEP = "[" * 1000 + "]" * 1000


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (f'{{"type": "ping", "payload": {{"a": {DEEP}}}}}', 4400),
        (f'{{"type": "connection_init", "payload": {{"Authorization": {DEEP}}}}}', 4403),
    ],
)
async def test_a_deep_payload_is_no_fault_of_ours(
    running: Site, caplog: pytest.LogCaptureFixture, message: str, code: int
) -> None:
    async with connected(running) as client:
        await client.send_raw(message)
        assert (await client.closed())[0] == code
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


# Operations


@pytest.mark.parametrize("query", ["{ hello }", 'mutation { hello: note(text: "Hello, world!") }'])
async def test_queries_and_mutations_are_answered_once(running: Site, query: str) -> None:
    async with initialised(running) as client:
        await client.subscribe(query)
        assert await client.receive_all(2) == [
            {"id": "1", "type": "next", "payload": {"data": {"hello": "Hello, world!"}}},
            {"id": "1", "type": "complete"},
        ]


async def test_a_subscription_is_answered_in_order(running: Site) -> None:
    async with initialised(running) as client:
        await client.subscribe("subscription A($n: Int!) { count(to: $n) }", variables={"n": 50}, operationName="A")
        messages = await client.receive_all(51)
    assert [message["payload"]["data"]["count"] for message in messages[:-1]] == list(range(50))
    assert messages[-1] == {"id": "1", "type": "complete"}


async def test_an_id_may_be_used_again(running: Site) -> None:
    async with initialised(running) as client:
        for _ in range(3):
            await client.subscribe("{ hello }")
            assert [message["type"] for message in await client.receive_all(2)] == ["next", "complete"]


async def test_operations_run_side_by_side(running: Site) -> None:
    async with initialised(running) as client:
        for number in range(60):
            await client.subscribe("{ hello }", str(number))
        messages = await client.receive_all(120)
    assert {message["id"] for message in messages if message["type"] == "complete"} == {str(n) for n in range(60)}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("", "GRAPHQL_PARSE_FAILED"),
        ("{a" * 700, "QUERY_TOO_DEEP"),
        ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("query ($n: Int!) { twice(number: $n) }", "BAD_USER_INPUT"),
        ("subscription ($n: Int!) { count(to: $n) }", "BAD_USER_INPUT"),
        ("query A { hello } query B { hello }", "OPERATION_RESOLUTION_FAILURE"),
        ("subscription { refused }", "FORBIDDEN"),
    ],
)
async def test_an_operation_that_cant_run_is_an_error_message(running: Site, query: str, code: str) -> None:
    async with initialised(running) as client:
        await client.subscribe(query)
        message = await client.receive()
        assert (message["type"], message["id"]) == ("error", "1")
        assert codes({"errors": message["payload"]}) == [code]
        assert await client.still_works()


async def test_an_unknown_operation_name_is_an_error_message(running: Site) -> None:
    async with initialised(running) as client:
        await client.subscribe("query A { hello }", operationName="B")
        assert (await client.receive())["type"] == "error"
        assert await client.still_works()


async def test_extensions_reach_the_operation(running: Site) -> None:
    async with initialised(running) as client:
        await client.subscribe("{ extension }", extensions={"a": 1})
        assert (await client.receive())["payload"] == {"data": {"extension": "{'a': 1}"}}


async def test_each_operation_has_its_own_context(running: Site) -> None:
    running.probe.contexts.clear()
    async with initialised(running) as client:
        await client.subscribe("{ requestId }", "1")
        await client.subscribe("{ requestId }", "2")
        answers = [message["payload"] for message in await client.receive_all(4) if message["type"] == "next"]
    assert len(running.probe.contexts) == 2
    assert answers[0] != answers[1]


async def test_errors_in_fields_are_part_of_the_answer(running: Site) -> None:
    async with initialised(running) as client:
        await client.subscribe("{ hello forbidden }")
        message = await client.receive()
    assert message["type"] == "next"
    assert message["payload"]["data"] == {"hello": "Hello, world!", "forbidden": None}
    assert codes(message["payload"]) == ["FORBIDDEN"]


async def test_errors_in_fields_of_an_event_do_not_end_the_subscription(running: Site) -> None:
    async with initialised(running) as client:
        await client.subscribe("subscription { brokenEvents { field } }")
        messages = await client.receive_all(3)
    assert [message["type"] for message in messages] == ["next", "next", "complete"]
    assert codes(messages[1]["payload"]) == ["FORBIDDEN"]


async def test_faults_are_masked(running: Site) -> None:
    async with initialised(running) as client:
        await client.subscribe("{ broken }")
        message = await client.receive()
    assert codes(message["payload"]) == ["INTERNAL_SERVER_ERROR"]
    assert message["payload"]["errors"][0]["message"] == "Internal server error"
    assert len(message["payload"]["errors"][0]["extensions"]["requestId"]) == 32


@pytest.mark.parametrize(
    ("query", "code"),
    [("subscription { brokenLater }", "INTERNAL_SERVER_ERROR"), ("subscription { refusedLater }", "FORBIDDEN")],
)
async def test_a_subscription_that_fails_later_ends_with_an_error(running: Site, query: str, code: str) -> None:
    async with initialised(running) as client:
        await client.subscribe(query)
        event, error = await client.receive_all(2)
        assert event["type"] == "next"
        assert error["type"] == "error"
        assert codes({"errors": error["payload"]}) == [code]
        assert await client.still_works()


async def test_a_complete_stops_a_subscription_silently(running: Site) -> None:
    async with initialised(running) as client:
        began = running.probe.seen["forever ended"]
        await client.subscribe("subscription { forever }")
        await client.receive()
        await client.send({"id": "1", "type": "complete"})
        await running.probe.until("forever ended", began + 1)
        await client.subscribe("{ hello }")
        assert (await client.receive())["payload"] == {"data": {"hello": "Hello, world!"}}


async def test_a_complete_of_an_unknown_operation_is_ignored(running: Site) -> None:
    async with initialised(running) as client:
        await client.send({"id": "nothing", "type": "complete"})
        assert await client.still_works()


async def test_operations_of_a_socket_are_capped() -> None:
    async with site(TransportLimits(operations_per_socket=2)) as running, initialised(running) as client:
        await client.subscribe("subscription { forever }", "1")
        await client.subscribe("subscription { forever }", "2")
        await client.receive_all(2)
        await client.subscribe("{ hello }", "3")
        refused = await client.receive()
        assert (refused["type"], refused["id"]) == ("error", "3")
        assert codes({"errors": refused["payload"]}) == ["TOO_MANY_OPERATIONS"]
        await client.send({"id": "1", "type": "complete"})
        await client.subscribe("{ hello }", "3")
        assert (await client.receive())["type"] == "next"


async def test_an_operation_has_a_timeout() -> None:
    async with site(TransportLimits(operation_seconds=0.05)) as running, initialised(running) as client:
        await client.subscribe("{ slow }")
        message = await client.receive()
    assert message["type"] == "error"
    assert codes({"errors": message["payload"]}) == ["EXECUTION_TIMEOUT"]


# A client that leaves


@pytest.mark.parametrize("abruptly", [True, False])
async def test_no_task_is_left_when_the_client_leaves(abruptly: bool) -> None:
    async with site() as running:
        async with initialised(running):
            pass  # wait until the server is up
        before = asyncio.all_tasks()
        url = f"ws://127.0.0.1:{running.port}/graphql"
        async with connect(url, subprotocols=[Subprotocol(PROTOCOL)], proxy=None) as connection:
            client = SocketClient(connection)
            await client.initialise()
            for number in range(10):
                await client.subscribe("subscription { forever }", str(number))
            await client.subscribe("{ slow }", "slow")
            await client.receive_all(10)
            if abruptly:
                connection.transport.abort()
        await running.probe.until("forever ended", 10)
        await running.probe.until("slow cancelled")
        while left := asyncio.all_tasks() - before - {asyncio.current_task()}:
            await asyncio.wait(cast("set[asyncio.Task[None]]", left), timeout=5)


async def test_a_mutation_goes_on_when_the_client_leaves() -> None:
    async with site() as running:
        async with initialised(running) as client:
            await client.subscribe("mutation { slowNote }")
            await running.probe.until("slowNote began")
        running.probe.gate.set()
        await running.probe.until("slowNote done")


# Quotas


async def test_mutations_of_a_customer_are_capped_though_their_client_does_not_wait() -> None:
    async with site(TransportLimits(customer_mutations=1)) as running, initialised(running) as client:
        await client.subscribe("mutation { slowNote }", "1")
        await running.probe.until("slowNote began")
        await client.send({"id": "1", "type": "complete"})
        await client.subscribe('mutation { note(text: "") }', "1")
        assert codes({"errors": (await client.receive())["payload"]}) == ["TOO_MANY_OPERATIONS"]
        running.probe.gate.set()
        await running.probe.until("slowNote done")


async def test_sockets_of_an_address_are_capped() -> None:
    async with site(TransportLimits(address_connections=2)) as running:
        async with connected(running), connected(running), connected(running) as third:
            assert await third.closed() == (1013, "Too many connections")
        async with initialised(running):
            pass


async def test_sockets_of_a_customer_are_capped() -> None:
    async with site(TransportLimits(customer_connections=1)) as running:
        async with initialised(running), connected(running) as second, connected(running) as other:
            await second.send({"type": "connection_init", "payload": authorization()})
            assert await second.closed() == (1013, "Too many connections")
            await other.initialise(token(OTHER_CUSTOMER))
        async with initialised(running):
            pass


# Expiry of the token


async def test_a_token_that_expires_ends_the_subscriptions(running: Site) -> None:
    before = running.turned_away("UNAUTHENTICATED")
    async with connected(running) as client:
        await client.initialise(token(ttl=1.5))
        await client.subscribe("subscription { forever }")
        await client.receive()
        ended = running.probe.seen["forever ended"]
        assert await client.closed() == (4403, "Token expired")
        assert running.turned_away("UNAUTHENTICATED") == before  # the session was accepted
        await running.probe.until("forever ended", ended + 1)


async def test_a_fresh_token_keeps_subscriptions_running() -> None:
    clock = Clock()
    async with site(authenticate=clock.authenticate) as running, connected(running) as client:
        clock.expires_in = 0.5
        await client.initialise("first")
        await client.subscribe("subscription { forever }")
        await client.receive()
        clock.expires_in = 600
        await client.send({"type": "ping", "payload": {"authorization": "Bearer second", "a": 1}})
        assert await client.receive() == {"type": "pong", "payload": {"a": 1}}
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.8):
                await client.closed()


@pytest.mark.parametrize(
    "fresh",
    [
        "nonsense",
        token(OTHER_CUSTOMER, "alice", 600, Permission.CALLS_READ, Permission.SIMULATE),
        token(subject="bob"),
        token(),
    ],
)
async def test_a_fresh_token_of_another_viewer_or_with_fewer_permissions_is_refused(running: Site, fresh: str) -> None:
    async with connected(running) as client:
        await client.initialise(token("5E4A0680804E11EC84772FEA5968D85B", "alice", 600, Permission.CALLS_READ))
        await client.send({"type": "ping", "payload": authorization(fresh)})
        assert await client.closed() == (4403, "Forbidden")


class Clock:
    """Accepts any token, for as long as the test decides."""

    expires_in = 600.0

    async def authenticate(self, token: str) -> Viewer:
        expiry = datetime.now().astimezone() + timedelta(seconds=self.expires_in)
        return Viewer("5e4a0680-804e-11ec-8477-2fea5968d85b", "alice", frozenset(), expiry)


# Shutdown


async def test_draining_closes_sockets_so_that_clients_connect_again() -> None:
    async with site() as running, initialised(running) as client:
        await client.subscribe("subscription { forever }", "1")
        await client.receive()
        await client.subscribe("mutation { slowNote }", "2")
        await running.probe.until("slowNote began")
        draining = asyncio.create_task(running.endpoint.drain())
        await running.probe.until("forever ended")
        await client.subscribe("{ hello }", "3")  # is not started any more
        running.probe.gate.set()
        assert [message["id"] for message in await client.receive_all(2)] == ["2", "2"]
        assert await client.closed() == (1012, "Service restart")
        await draining


async def test_new_requests_are_refused_while_draining() -> None:
    async with site() as running, running.client() as client:
        await running.endpoint.drain()
        with pytest.raises(InvalidStatus) as refusal:
            async with connected(running):
                pass
        response = await client.post("/graphql", json={"query": "{ hello }"})
    assert refusal.value.response.status_code == 503
    assert response.status_code == 503
    assert response.headers["retry-after"] == "1"


async def test_an_incomplete_handshake_is_refused(running: Site) -> None:
    async with httpx.AsyncClient() as client:
        headers = {"connection": "upgrade", "upgrade": "websocket"}
        response = await client.get(f"{running.url}/graphql", headers=headers)
    assert response.status_code in (400, 426)


async def test_compression_is_not_offered(running: Site) -> None:
    url = f"ws://127.0.0.1:{running.port}/graphql"
    async with connect(url, subprotocols=[Subprotocol(PROTOCOL)], proxy=None) as connection:
        assert connection.response is not None
        assert "sec-websocket-extensions" not in connection.response.headers
        await connection.close()
        with pytest.raises(ConnectionClosed):
            await connection.recv()
