"""Event streams (SSE), in the distinct connections mode of graphql-sse."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import pytest_asyncio

from app.domain.viewer import Viewer
from app.limits import TransportLimits
from tests.server.toy import OTHER_CUSTOMER, TOKENS, Site, authorization, codes, site, token

pytestmark = pytest.mark.asyncio(loop_scope="module")

Event = tuple[str, Any]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def running() -> AsyncIterator[Site]:
    async with site() as running:
        yield running


@asynccontextmanager
async def stream(running: Site, query: str, method: str = "POST", **headers: str) -> AsyncIterator[httpx.Response]:
    asked: dict[str, Any] = {"params": {"query": query}} if method == "GET" else {"json": {"query": query}}
    takes = {"accept": "text/event-stream", **headers}
    async with running.client() as client, client.stream(method, "/graphql", headers=takes, **asked) as response:
        yield response


async def events(response: httpx.Response) -> AsyncGenerator[Event]:
    name = ""
    async for line in response.aiter_lines():
        if line == ":":
            yield "heartbeat", None
        elif line.startswith("event:"):
            name = line[6:].strip()
        elif line.startswith("data:"):
            data = line[5:].strip()
            yield name, json.loads(data) if data else None


async def all_events(running: Site, query: str, method: str = "POST") -> list[Event]:
    async with stream(running, query, method) as response:
        return [event async for event in events(response)]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_subscription_is_streamed(running: Site, method: str) -> None:
    assert await all_events(running, "subscription { count(to: 2) }", method) == [
        ("next", {"data": {"count": 0}}),
        ("next", {"data": {"count": 1}}),
        ("complete", None),
    ]


async def test_its_headers_keep_proxies_from_buffering(running: Site) -> None:
    async with stream(running, "subscription { count(to: 1) }", x_request_id="abc") as response:
        assert response.status_code == 200
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert response.headers["cache-control"] == "no-store, no-transform"
        assert response.headers["x-accel-buffering"] == "no"
        assert len(response.headers["x-request-id"]) == 32


@pytest.mark.parametrize("query", ["{ hello }", 'mutation { note(text: "x") }'])
async def test_a_query_or_mutation_is_a_stream_of_one_answer(running: Site, query: str) -> None:
    kinds = [kind for kind, _ in await all_events(running, query)]
    assert kinds == ["next", "complete"]


async def test_a_query_is_streamed_only_if_nothing_else_is_accepted(running: Site) -> None:
    takes = (
        "application/graphql-response+json, application/json, text/event-stream, multipart/mixed"  # as urql sends it
    )
    async with stream(running, "{ hello }", accept=takes) as response:
        assert response.headers["content-type"].startswith("application/graphql-response+json")
    async with stream(running, "subscription { count(to: 1) }", accept=takes) as response:
        assert response.headers["content-type"].startswith("text/event-stream")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("subscription { nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription ($to: Int!) { count(to: $to) }", "BAD_USER_INPUT"),
        ("subscription A { count(to: 1) } subscription B { count(to: 1) }", "OPERATION_RESOLUTION_FAILURE"),
        ("subscription { refused }", "FORBIDDEN"),
    ],
)
async def test_an_error_is_the_last_event(running: Site, query: str, code: str) -> None:
    (kind, error), complete = await all_events(running, query)
    assert kind == "next"
    assert codes(error) == [code]
    assert "data" not in error
    assert complete == ("complete", None)


async def test_a_fault_is_masked(running: Site) -> None:
    first, (_, error), _ = await all_events(running, "subscription { brokenLater }")
    assert first == ("next", {"data": {"brokenLater": 1}})
    assert codes(error) == ["INTERNAL_SERVER_ERROR"]
    assert "secret" not in json.dumps(error)


async def test_transport_errors_are_single_responses(running: Site) -> None:
    async with stream(running, "{ hello }", authorization="") as response:
        assert response.status_code == 401
        assert codes(json.loads(await response.aread())) == ["UNAUTHENTICATED"]
    async with stream(running, 'mutation { note(text: "x") }', "GET") as response:
        assert response.status_code == 405


async def test_events_are_sent_at_once_and_end_when_the_client_leaves(running: Site) -> None:
    async with stream(running, "subscription { forever }") as response:
        assert await anext(events(response)) == ("next", {"data": {"forever": "x"}})
        assert running.probe.seen["forever ended"] == 0
    await running.probe.until("forever ended")


async def test_a_silent_stream_sends_keep_alive_comments() -> None:
    async with (
        site(TransportLimits(heartbeat=0.01)) as running,
        stream(running, "subscription { forever }") as response,
    ):
        received = events(response)
        kinds = [(await anext(received))[0] for _ in range(3)]
    assert kinds == ["next", "heartbeat", "heartbeat"]


async def test_a_stream_ends_when_its_token_expires(running: Site) -> None:
    async with stream(running, "subscription { forever }", **authorization(token(ttl=1.5))) as response:
        async with asyncio.timeout(5):
            _, (kind, error), complete = [event async for event in events(response)]
    assert (kind, codes(error)) == ("next", ["UNAUTHENTICATED"])
    assert complete == ("complete", None)
    await running.probe.until("forever ended", running.probe.seen["forever began"])


async def test_draining_ends_streams_so_that_clients_connect_again() -> None:
    async with site() as running, stream(running, "subscription { forever }") as response:
        received = events(response)
        await anext(received)
        await running.endpoint.drain()
        assert [event async for event in received] == []  # no `complete`
        assert running.probe.seen["forever ended"] == 1


async def test_a_stream_requested_before_a_shutdown_does_not_start_during_it() -> None:
    signed_in, arrives = asyncio.Event(), asyncio.Event()

    async def authenticate(token: str) -> Viewer:
        signed_in.set()
        return await TOKENS.viewer(token)

    async def body() -> AsyncIterator[bytes]:
        yield b'{"query": "subscription'
        await arrives.wait()
        yield b' { forever }"}'

    headers = {"Accept": "text/event-stream", "Content-Type": "application/json"}
    async with site(authenticate=authenticate) as running, running.client() as client:
        asking = asyncio.create_task(client.post("/graphql", content=body(), headers=headers))
        await signed_in.wait()
        draining = asyncio.create_task(running.endpoint.drain())
        await asyncio.sleep(0)
        arrives.set()
        answer = await asking
        await draining
    assert (answer.status_code, codes(answer.json())) == (503, ["SERVICE_UNAVAILABLE"])


async def test_streams_of_a_customer_are_capped() -> None:
    limits = TransportLimits(customer_connections=1)
    async with site(limits) as running, stream(running, "subscription { forever }") as first:
        await anext(events(first))
        async with stream(running, "subscription { forever }") as second:
            assert second.status_code == 429
            assert codes(json.loads(await second.aread())) == ["TOO_MANY_CONNECTIONS"]
        async with stream(running, "subscription { count(to: 1) }", **authorization(token(OTHER_CUSTOMER))) as other:
            assert other.status_code == 200
