"""graphql-transport-ws, frame by frame, against a running server."""

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
from app.server.errors import Unavailable
from app.server.limits import TransportLimits
from tests.server.lines import Written
from tests.server.talk import PROTOCOL, Talk, greeted, talk
from tests.server.toy import CUSTOMER, OTHER_CUSTOMER, Site, authorization, codes, site, token

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def running() -> AsyncIterator[Site]:
    async with site() as running:
        yield running


# Getting in


async def test_tokens_are_not_logged(running: Site, caplog: pytest.LogCaptureFixture) -> None:
    secret = token(subject="somebody")
    with caplog.at_level(logging.DEBUG, "uvicorn"), caplog.at_level(logging.DEBUG, "app"):
        async with talk(running, **authorization(secret)) as client:
            await client.greet(secret)
            await client.say({"type": "ping", "payload": authorization(secret)}, {"type": "connection_init"})
            await client.closed()
    ours = [record for record in caplog.records if not record.name.startswith("websockets")]
    assert ours
    assert not any(secret in record.getMessage() for record in ours)


@pytest.mark.parametrize("name", ["Authorization", "authorization", "AUTHORIZATION"])
async def test_a_token_in_the_first_message_lets_one_in(running: Site, name: str) -> None:
    async with talk(running) as client:
        await client.say({"type": "connection_init", "payload": {name: f"Bearer {token()}"}})
        assert await client.hear() == {"type": "connection_ack"}


@pytest.mark.parametrize("message", [{}, {"payload": None}, {"payload": {}}, {"payload": {"a": 1}}])
async def test_a_token_in_the_upgrade_lets_one_in(running: Site, message: dict[str, Any]) -> None:
    async with talk(running, **authorization()) as client:
        await client.say({"type": "connection_init", **message})
        assert await client.hear() == {"type": "connection_ack"}


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
async def test_nobody_gets_in_without_a_valid_token(running: Site, message: dict[str, Any]) -> None:
    async with talk(running) as client:
        await client.say({"type": "connection_init", **message})
        assert await client.closed() == (4403, "Forbidden")


async def test_a_token_in_the_message_counts_more_than_one_in_the_upgrade(running: Site) -> None:
    async with talk(running, **authorization(token(subject="bob"))) as client:
        await client.greet(token(subject="alice"))
        await client.subscribe("{ viewer }")
        assert (await client.hear())["payload"] == {"data": {"viewer": "alice"}}


async def test_keys_that_cant_be_had_are_not_the_clients_fault() -> None:
    async def authenticate(token: str) -> Viewer:
        raise Unavailable("Later")

    async with site(authenticate=authenticate) as running, talk(running, **authorization()) as client:
        await client.say({"type": "connection_init"})
        assert await client.closed() == (1013, "Try again later")


async def test_a_fault_closes_the_socket_and_says_nothing_of_itself() -> None:
    async def authenticate(token: str) -> Viewer:
        raise ZeroDivisionError("a secret in a message")

    async with site(authenticate=authenticate) as running, talk(running, **authorization()) as client:
        await client.say({"type": "connection_init"})
        assert await client.closed() == (4500, "Internal server error")


@pytest.mark.parametrize("protocol", [None, "graphql-ws", "chat"])
async def test_no_other_subprotocol_is_spoken(running: Site, protocol: str | None) -> None:
    async with talk(running, protocol) as client:
        assert await client.closed() == (4406, "Subprotocol not acceptable")


async def test_one_must_say_who_one_is_in_time() -> None:
    async with site(TransportLimits(init_timeout=0.05)) as running, talk(running) as client:
        assert await client.closed() == (4408, "Connection initialisation timeout")


async def test_one_must_say_who_one_is_first(running: Site) -> None:
    async with talk(running) as client:
        await client.subscribe("{ hello }")
        assert await client.closed() == (4401, "Unauthorized")


@pytest.mark.parametrize("wait", [True, False])
async def test_one_says_it_once(running: Site, wait: bool) -> None:
    async with talk(running) as client:
        if wait:
            await client.greet()
        else:
            await client.say({"type": "connection_init", "payload": authorization()})
        await client.say({"type": "connection_init", "payload": authorization()})
        assert await client.closed() == (4429, "Too many initialisation requests")


# Origins


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", "file://"])
async def test_pages_of_other_origins_are_refused(running: Site, origin: str) -> None:
    with pytest.raises(InvalidStatus) as refusal:
        async with talk(running, origin=origin):
            pass
    assert refusal.value.response.status_code == 403


async def test_pages_of_the_same_origin_are_let_in(running: Site) -> None:
    async with talk(running, origin=f"http://127.0.0.1:{running.port}") as client:
        await client.greet()


async def test_pages_of_listed_origins_are_let_in() -> None:
    limits = TransportLimits(allowed_origins=("https://app.example",))
    async with site(limits) as running, talk(running, origin="https://app.example") as client:
        await client.greet()


@pytest.mark.parametrize("origin", ["http://localhost:5173", "http://127.0.0.1:1", "http://[::1]:3000"])
async def test_pages_of_this_machine_are_let_in_where_that_is_wanted(origin: str) -> None:
    async with site(TransportLimits(loopback_origins=True)) as running, talk(running, origin=origin) as client:
        await client.say({"type": "connection_init"})
        assert await client.closed() == (4403, "Forbidden")  # the token is needed all the same


async def test_the_log_names_the_setting_that_lets_a_refused_page_open_a_socket(
    running: Site, written: Written
) -> None:
    with pytest.raises(InvalidStatus):
        await talk(running, origin="http://localhost:5173").__aenter__()
    assert written.lines[-1]["outcome"] == "ORIGIN_NOT_ALLOWED"
    assert written.lines[-1]["origin"] == "http://localhost:5173"
    assert "TRANSFERS_ALLOWED_ORIGINS" in written.lines[-1]["hint"]


# Being turned away is counted, as over HTTP


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
async def test_a_socket_that_is_refused_is_counted_by_why(running: Site, messages: list[object], code: str) -> None:
    before = running.turned_away(code)
    async with talk(running) as client:
        await client.say(*messages)
        await client.closed()
    assert running.turned_away(code) == before + 1


async def test_so_is_one_of_another_origin_or_protocol(running: Site) -> None:
    with pytest.raises(InvalidStatus):
        await talk(running, origin="https://evil.example").__aenter__()
    async with talk(running, "graphql-ws") as client:
        await client.closed()
    assert running.turned_away("ORIGIN_NOT_ALLOWED") >= 1
    assert running.turned_away("NOT_ACCEPTABLE") >= 1


async def test_so_is_one_that_says_nothing() -> None:
    async with site(TransportLimits(init_timeout=0.05)) as running, talk(running) as client:
        await client.closed()
        assert running.turned_away("REQUEST_TIMEOUT") == 1


@pytest.mark.parametrize("limits", [TransportLimits(customer_connections=1), TransportLimits(address_connections=1)])
async def test_so_is_one_too_many(limits: TransportLimits) -> None:
    async with site(limits) as running, greeted(running), talk(running) as client:
        with suppress(ConnectionClosed):
            await client.say(INIT)
        await client.closed()
        assert running.turned_away("TOO_MANY_CONNECTIONS") == 1


async def test_so_is_an_operation_too_many() -> None:
    async with site(TransportLimits(operations_per_socket=1)) as running, greeted(running) as client:
        await client.say(ASK, ASK | {"id": "2"})
        await client.hear_all(2)
        assert running.turned_away("TOO_MANY_OPERATIONS") == 1


async def test_its_lines_tell_whose_it_was(written: Written) -> None:
    async with site() as running, greeted(running) as client:
        await client.say({"type": "nonsense"})
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
async def test_a_message_that_is_none_closes_the_socket(running: Site, name: str) -> None:
    async with greeted(running) as client:
        await client.say_raw(BAD_FRAMES[name])
        code, reason = await client.closed()
    assert code == 4400
    assert reason


@pytest.mark.parametrize("payload", ["x", 5, [], True])
async def test_so_does_a_first_message_with_a_bad_payload(running: Site, payload: object) -> None:
    async with talk(running, **authorization()) as client:
        await client.say({"type": "connection_init", "payload": payload})
        assert (await client.closed())[0] == 4400


async def test_so_does_a_binary_message(running: Site) -> None:
    async with greeted(running) as client:
        await client.say_raw(b'{"type": "ping"}')
        assert (await client.closed())[0] == 4400


async def test_a_message_may_not_be_too_large(running: Site) -> None:
    async with greeted(running) as client:
        await client.subscribe(" " * 100_000)
        assert (await client.closed())[0] == 1009


@pytest.mark.parametrize("frame", [b"\x81\x81\0\0\0\0\xff", b"\x01\x81\0\0\0\0\xc3\x80\x81\0\0\0\0("])
async def test_bad_utf_8_closes_the_socket_and_is_no_fault_of_ours(
    running: Site, caplog: pytest.LogCaptureFixture, frame: bytes
) -> None:
    url = f"ws://127.0.0.1:{running.port}/graphql"
    async with connect(url, subprotocols=[Subprotocol(PROTOCOL)], proxy=None) as connection:
        connection.transport.write(frame)
        assert (await Talk(connection).closed())[0] == 1007
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_an_id_that_is_in_use_closes_the_socket(running: Site) -> None:
    async with greeted(running) as client:
        await client.subscribe("subscription { forever }", "é" * 100)
        await client.subscribe("{ hello }", "é" * 100)
        code, reason = await client.closed()
    assert code == 4409
    assert reason.startswith("Subscriber for éé")


# Pings


async def test_a_ping_is_answered_with_its_payload(running: Site) -> None:
    async with talk(running) as client:
        await client.say({"type": "ping"}, {"type": "ping", "payload": {"a": [1]}}, {"type": "ping", "payload": None})
        pongs = await client.hear_all(3)
        await client.greet()
    assert pongs == [{"type": "pong"}, {"type": "pong", "payload": {"a": [1]}}, {"type": "pong"}]


async def test_a_pong_nobody_asked_for_is_fine(running: Site) -> None:
    async with greeted(running) as client:
        await client.say({"type": "pong"}, {"type": "pong", "payload": {"a": 1}})
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
    async with talk(running) as client:
        await client.say_raw(message)
        assert (await client.closed())[0] == code
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


# Operations


@pytest.mark.parametrize("query", ["{ hello }", 'mutation { hello: note(text: "Hello, world!") }'])
async def test_queries_and_mutations_are_answered_once(running: Site, query: str) -> None:
    async with greeted(running) as client:
        await client.subscribe(query)
        assert await client.hear_all(2) == [
            {"id": "1", "type": "next", "payload": {"data": {"hello": "Hello, world!"}}},
            {"id": "1", "type": "complete"},
        ]


async def test_a_subscription_is_answered_in_order(running: Site) -> None:
    async with greeted(running) as client:
        await client.subscribe("subscription A($n: Int!) { count(to: $n) }", variables={"n": 50}, operationName="A")
        messages = await client.hear_all(51)
    assert [message["payload"]["data"]["count"] for message in messages[:-1]] == list(range(50))
    assert messages[-1] == {"id": "1", "type": "complete"}


async def test_an_id_may_be_used_again(running: Site) -> None:
    async with greeted(running) as client:
        for _ in range(3):
            await client.subscribe("{ hello }")
            assert [message["type"] for message in await client.hear_all(2)] == ["next", "complete"]


async def test_operations_run_side_by_side(running: Site) -> None:
    async with greeted(running) as client:
        for number in range(60):
            await client.subscribe("{ hello }", str(number))
        messages = await client.hear_all(120)
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
    async with greeted(running) as client:
        await client.subscribe(query)
        message = await client.hear()
        assert (message["type"], message["id"]) == ("error", "1")
        assert codes({"errors": message["payload"]}) == [code]
        assert await client.still_works()


async def test_an_unknown_operation_name_is_an_error_message(running: Site) -> None:
    async with greeted(running) as client:
        await client.subscribe("query A { hello }", operationName="B")
        assert (await client.hear())["type"] == "error"
        assert await client.still_works()


async def test_extensions_reach_the_operation(running: Site) -> None:
    async with greeted(running) as client:
        await client.subscribe("{ extension }", extensions={"a": 1})
        assert (await client.hear())["payload"] == {"data": {"extension": "{'a': 1}"}}


async def test_each_operation_has_its_own_context(running: Site) -> None:
    running.probe.contexts.clear()
    async with greeted(running) as client:
        await client.subscribe("{ requestId }", "1")
        await client.subscribe("{ requestId }", "2")
        answers = [message["payload"] for message in await client.hear_all(4) if message["type"] == "next"]
    assert len(running.probe.contexts) == 2
    assert answers[0] != answers[1]


async def test_errors_in_fields_are_part_of_the_answer(running: Site) -> None:
    async with greeted(running) as client:
        await client.subscribe("{ hello forbidden }")
        message = await client.hear()
    assert message["type"] == "next"
    assert message["payload"]["data"] == {"hello": "Hello, world!", "forbidden": None}
    assert codes(message["payload"]) == ["FORBIDDEN"]


async def test_errors_in_fields_of_an_event_do_not_end_the_subscription(running: Site) -> None:
    async with greeted(running) as client:
        await client.subscribe("subscription { brokenEvents { field } }")
        messages = await client.hear_all(3)
    assert [message["type"] for message in messages] == ["next", "next", "complete"]
    assert codes(messages[1]["payload"]) == ["FORBIDDEN"]


async def test_faults_are_masked(running: Site) -> None:
    async with greeted(running) as client:
        await client.subscribe("{ broken }")
        message = await client.hear()
    assert codes(message["payload"]) == ["INTERNAL_SERVER_ERROR"]
    assert message["payload"]["errors"][0]["message"] == "Internal server error"
    assert len(message["payload"]["errors"][0]["extensions"]["requestId"]) == 32


@pytest.mark.parametrize(
    ("query", "code"),
    [("subscription { brokenLater }", "INTERNAL_SERVER_ERROR"), ("subscription { refusedLater }", "FORBIDDEN")],
)
async def test_a_subscription_that_fails_on_the_way_ends_in_an_error(running: Site, query: str, code: str) -> None:
    async with greeted(running) as client:
        await client.subscribe(query)
        event, error = await client.hear_all(2)
        assert event["type"] == "next"
        assert error["type"] == "error"
        assert codes({"errors": error["payload"]}) == [code]
        assert await client.still_works()


async def test_a_complete_stops_a_subscription_silently(running: Site) -> None:
    async with greeted(running) as client:
        began = running.probe.seen["forever ended"]
        await client.subscribe("subscription { forever }")
        await client.hear()
        await client.say({"id": "1", "type": "complete"})
        await running.probe.until("forever ended", began + 1)
        await client.subscribe("{ hello }")
        assert (await client.hear())["payload"] == {"data": {"hello": "Hello, world!"}}


async def test_a_complete_of_nothing_is_fine(running: Site) -> None:
    async with greeted(running) as client:
        await client.say({"id": "nothing", "type": "complete"})
        assert await client.still_works()


async def test_operations_of_a_socket_are_capped() -> None:
    async with site(TransportLimits(operations_per_socket=2)) as running, greeted(running) as client:
        await client.subscribe("subscription { forever }", "1")
        await client.subscribe("subscription { forever }", "2")
        await client.hear_all(2)
        await client.subscribe("{ hello }", "3")
        refused = await client.hear()
        assert (refused["type"], refused["id"]) == ("error", "3")
        assert codes({"errors": refused["payload"]}) == ["TOO_MANY_OPERATIONS"]
        await client.say({"id": "1", "type": "complete"})
        await client.subscribe("{ hello }", "3")
        assert (await client.hear())["type"] == "next"


async def test_operations_may_not_take_too_long() -> None:
    async with site(TransportLimits(operation_seconds=0.05)) as running, greeted(running) as client:
        await client.subscribe("{ slow }")
        message = await client.hear()
    assert message["type"] == "error"
    assert codes({"errors": message["payload"]}) == ["EXECUTION_TIMEOUT"]


# Leaving


@pytest.mark.parametrize("abruptly", [True, False])
async def test_nothing_is_left_behind(abruptly: bool) -> None:
    async with site() as running:
        async with greeted(running):
            pass  # the server is up
        before = asyncio.all_tasks()
        url = f"ws://127.0.0.1:{running.port}/graphql"
        async with connect(url, subprotocols=[Subprotocol(PROTOCOL)], proxy=None) as connection:
            client = Talk(connection)
            await client.greet()
            for number in range(10):
                await client.subscribe("subscription { forever }", str(number))
            await client.subscribe("{ slow }", "slow")
            await client.hear_all(10)
            if abruptly:
                connection.transport.abort()
        await running.probe.until("forever ended", 10)
        await running.probe.until("slow cancelled")
        while left := asyncio.all_tasks() - before - {asyncio.current_task()}:
            await asyncio.wait(cast("set[asyncio.Task[None]]", left), timeout=5)


async def test_a_mutation_goes_on_when_the_client_leaves() -> None:
    async with site() as running:
        async with greeted(running) as client:
            await client.subscribe("mutation { slowNote }")
            await running.probe.until("slowNote began")
        running.probe.gate.set()
        await running.probe.until("slowNote done")


# Caps


async def test_mutations_of_a_customer_are_capped_though_their_client_does_not_wait() -> None:
    async with site(TransportLimits(customer_mutations=1)) as running, greeted(running) as client:
        await client.subscribe("mutation { slowNote }", "1")
        await running.probe.until("slowNote began")
        await client.say({"id": "1", "type": "complete"})
        await client.subscribe('mutation { note(text: "") }', "1")
        assert codes({"errors": (await client.hear())["payload"]}) == ["TOO_MANY_OPERATIONS"]
        running.probe.gate.set()
        await running.probe.until("slowNote done")


async def test_sockets_of_an_address_are_capped() -> None:
    async with site(TransportLimits(address_connections=2)) as running:
        async with talk(running), talk(running), talk(running) as third:
            assert await third.closed() == (1013, "Too many connections")
        async with greeted(running):
            pass


async def test_sockets_of_a_customer_are_capped() -> None:
    async with site(TransportLimits(customer_connections=1)) as running:
        async with greeted(running), talk(running) as second, talk(running) as other:
            await second.say({"type": "connection_init", "payload": authorization()})
            assert await second.closed() == (1013, "Too many connections")
            await other.greet(token(OTHER_CUSTOMER))
        async with greeted(running):
            pass


# Expiry


async def test_a_token_that_expires_ends_the_subscriptions(running: Site) -> None:
    before = running.turned_away("UNAUTHENTICATED")
    async with talk(running) as client:
        await client.greet(token(ttl=1.5))
        await client.subscribe("subscription { forever }")
        await client.hear()
        ended = running.probe.seen["forever ended"]
        assert await client.closed() == (4403, "Token expired")
        assert running.turned_away("UNAUTHENTICATED") == before  # it had been let in
        await running.probe.until("forever ended", ended + 1)


async def test_a_fresh_token_keeps_them_going() -> None:
    clock = Clock()
    async with site(authenticate=clock.authenticate) as running, talk(running) as client:
        clock.expires_in = 0.5
        await client.greet("first")
        await client.subscribe("subscription { forever }")
        await client.hear()
        clock.expires_in = 600
        await client.say({"type": "ping", "payload": {"authorization": "Bearer second", "a": 1}})
        assert await client.hear() == {"type": "pong", "payload": {"a": 1}}
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
async def test_but_not_one_of_somebody_else_or_with_fewer_rights(running: Site, fresh: str) -> None:
    async with talk(running) as client:
        await client.greet(token("5E4A0680804E11EC84772FEA5968D85B", "alice", 600, Permission.CALLS_READ))
        await client.say({"type": "ping", "payload": authorization(fresh)})
        assert await client.closed() == (4403, "Forbidden")


class Clock:
    """Tokens that live as long as the test wants."""

    expires_in = 600.0

    async def authenticate(self, token: str) -> Viewer:
        expiry = datetime.now().astimezone() + timedelta(seconds=self.expires_in)
        return Viewer("5e4a0680-804e-11ec-8477-2fea5968d85b", "alice", frozenset(), expiry)


# The end of the server


async def test_sockets_are_closed_so_that_clients_come_again() -> None:
    async with site() as running, greeted(running) as client:
        await client.subscribe("subscription { forever }", "1")
        await client.hear()
        await client.subscribe("mutation { slowNote }", "2")
        await running.probe.until("slowNote began")
        draining = asyncio.create_task(running.endpoint.drain())
        await running.probe.until("forever ended")
        await client.subscribe("{ hello }", "3")  # is not begun any more
        running.probe.gate.set()
        assert [message["id"] for message in await client.hear_all(2)] == ["2", "2"]
        assert await client.closed() == (1012, "Service restart")
        await draining


async def test_no_new_work_is_taken_meanwhile() -> None:
    async with site() as running, running.client() as client:
        await running.endpoint.drain()
        with pytest.raises(InvalidStatus) as refusal:
            async with talk(running):
                pass
        response = await client.post("/graphql", json={"query": "{ hello }"})
    assert refusal.value.response.status_code == 503
    assert response.status_code == 503
    assert response.headers["retry-after"] == "1"


async def test_the_handshake_is_left_to_the_library(running: Site) -> None:
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
