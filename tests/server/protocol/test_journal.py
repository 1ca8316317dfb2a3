"""What is told of operations: one line in the log and one figure for each, and never what clients send."""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from app.server.metrics import Metrics
from app.server.protocol.endpoint import GraphQLEndpoint
from tests.server.lines import Written
from tests.server.toy import EXECUTOR, TOKENS, Probe, Site, authorization, site, token

NOTE = "the caller cried"
PIPELINED = """\
GET /graphql?query=query+First%%7Bhello%%7D HTTP/1.1
Host: test
Authorization: Bearer %s

GET /graphql?query=%%7Bhello%%7D HTTP/1.1
Host: test
Connection: close

"""


@dataclass
class Watched:
    endpoint: GraphQLEndpoint
    metrics: Metrics
    probe: Probe
    client: httpx.AsyncClient
    log: pytest.LogCaptureFixture

    async def post(self, query: str, **more: Any) -> httpx.Response:
        return await self.client.post("/graphql", json={"query": query, **more})

    @property
    def lines(self) -> list[tuple[str, str]]:
        """What each says, and the outcome."""
        ours = [record for record in self.log.records if record.name == "app.server.protocol.journal"]
        assert {record.levelno for record in ours} <= {logging.INFO}
        return [(record.getMessage(), record.__dict__["outcome"]) for record in ours]

    def count(self, type: str, name: str, outcome: str) -> float | None:
        labels = {"type": type, "name": name, "outcome": outcome}
        return self.metrics.registry.get_sample_value("transfers_operations_total", labels)


@pytest.fixture
async def watched(caplog: pytest.LogCaptureFixture) -> AsyncIterator[Watched]:
    caplog.set_level(logging.INFO, "app")
    metrics, probe = Metrics(), Probe()
    endpoint = GraphQLEndpoint(EXECUTOR, TOKENS.viewer, probe.context, metrics=metrics)
    transport = httpx.ASGITransport(endpoint)
    async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=authorization()) as client:
        yield Watched(endpoint, metrics, probe, client, caplog)


async def test_an_operation_has_a_line_and_a_figure(watched: Watched) -> None:
    await watched.post("query Greet { hello }")
    assert watched.lines == [("operation", "ok")]
    assert watched.count("query", "Greet", "ok") == 1


async def test_what_is_refused_before_it_runs_does_not_count_among_how_long_operations_take(watched: Watched) -> None:
    for query in ("{ hello }", "{ broken }", "{ nothing }", "{", "query ($n: Int!) { twice(number: $n) }"):
        await watched.post(query)
    labels = {"type": "query", "name": ""}
    assert watched.metrics.registry.get_sample_value("transfers_operation_seconds_count", labels) == 2


@pytest.mark.parametrize(
    ("query", "type", "outcome"),
    [
        ("{ forbidden }", "query", "FORBIDDEN"),
        ("{ broken }", "query", "INTERNAL_SERVER_ERROR"),
        (f'{{ "{NOTE}" }}', "unreadable", "GRAPHQL_PARSE_FAILED"),
        (f'{{ hello(text: "{NOTE}") }}', "query", "GRAPHQL_VALIDATION_FAILED"),
        (f'mutation {{ note(text: 1, words: "{NOTE}") }}', "mutation", "GRAPHQL_VALIDATION_FAILED"),
    ],
)
async def test_an_error_is_told_by_its_code_alone(watched: Watched, query: str, type: str, outcome: str) -> None:
    await watched.post(query)
    assert watched.lines == [("operation", outcome)]
    assert watched.count(type, "", outcome) == 1
    assert NOTE not in watched.log.text


async def test_all_codes_of_an_operation_stand_in_its_line(watched: Watched) -> None:
    await watched.post("{ broken forbidden a: forbidden }")
    (line,) = (record for record in watched.log.records if record.name == "app.server.protocol.journal")
    assert line.__dict__["codes"] == ["INTERNAL_SERVER_ERROR", "FORBIDDEN"]


@pytest.mark.parametrize(
    ("headers", "code"),
    [({"authorization": "Bearer x.y.z"}, "UNAUTHENTICATED"), ({"content-type": "x/y"}, "UNSUPPORTED_MEDIA_TYPE")],
)
async def test_a_request_that_runs_nothing_has_a_line_and_a_figure(
    watched: Watched, headers: dict[str, str], code: str
) -> None:
    await watched.client.post("/graphql", content=b"{}", headers=headers)
    assert watched.lines == [("request refused", code)]
    assert watched.metrics.registry.get_sample_value("transfers_requests_refused_total", {"code": code}) == 1
    assert "x.y.z" not in watched.log.text


async def test_a_query_whose_client_has_left_is_cancelled(watched: Watched) -> None:
    asking = asyncio.create_task(watched.post("{ slow }"))
    await watched.probe.until("slow began")
    asking.cancel()
    await asyncio.wait([asking])
    assert watched.lines == [("operation", "CANCELLED")]


async def test_a_mutation_whose_client_has_left_is_told_of_when_it_is_done(watched: Watched) -> None:
    asking = asyncio.create_task(watched.post("mutation { slowNote }"))
    await watched.probe.until("slowNote began")
    asking.cancel()
    await asyncio.wait([asking])
    assert watched.lines == []
    watched.probe.gate.set()
    await watched.endpoint.drain()
    assert watched.lines == [("operation", "ok")]


async def test_a_subscription_is_a_gauge_while_it_runs_and_a_line_at_its_end(watched: Watched) -> None:
    headers = {"accept": "text/event-stream"}
    following = asyncio.create_task(
        watched.client.post("/graphql", json={"query": "subscription { forever }"}, headers=headers)
    )
    await watched.probe.until("forever began")
    assert watched.metrics.registry.get_sample_value("transfers_subscriptions") == 1
    assert watched.lines == []
    following.cancel()
    await asyncio.wait([following])
    assert watched.metrics.registry.get_sample_value("transfers_subscriptions") == 0
    assert watched.lines == [("operation", "ok")]


async def say(running: Site, octets: bytes) -> bytes:
    """What is answered to these octets, until the connection is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    writer.write(octets)
    answered = await reader.read()
    writer.close()
    return answered


async def test_a_request_behind_another_on_one_connection_is_not_told_in_its_name(written: Written) -> None:
    async with site() as running:
        answered = await say(running, (PIPELINED % token()).replace("\n", "\r\n").encode())
    assert answered.count(b"HTTP/1.1 ") == 2
    ran, refused = written.lines
    assert (ran["operation"], ran["outcome"]) == ("query First", "ok")
    assert refused["outcome"] == "UNAUTHENTICATED"
    assert not {"customer_id", "operation"} & set(refused)
