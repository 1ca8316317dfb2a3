"""Traces as a collector gets them: one from the request to the orders that follow from it, and nothing private."""

import os
import sys
from asyncio import create_subprocess_exec
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import httpx
import pytest
import pytest_asyncio
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.serving import TLS, serving
from tests.stories.desk import Desk

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

NOTE = "the caller cried"
BLOCKED = """
import sys
sys.modules["opentelemetry"] = None
from app.cli import main
sys.argv = ["transfers", "serve"]
main()
"""


class Collector:
    """An OTLP collector that keeps what it gets."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    @property
    def spans(self) -> list[Span]:
        requests = [ExportTraceServiceRequest.FromString(body) for body in self.bodies]
        scopes = [scope for request in requests for one in request.resource_spans for scope in one.scope_spans]
        return [span for scope in scopes for span in scope.spans]

    def named(self, name: str) -> Span:
        return next(span for span in self.spans if span.name == name)

    def line(self, span: Span) -> list[str]:
        """The names of a span and of those above it."""
        above = [one for one in self.spans if one.span_id == span.parent_span_id]
        return [span.name, *(self.line(above[0]) if above else ())]


@contextmanager
def collecting() -> Iterator[tuple[Collector, str]]:
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            collector.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield collector, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def collected(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Collector]:
    """What a server has sent by its end, after one transfer from start to completion."""
    with collecting() as (collector, endpoint):
        folder = tmp_path_factory.mktemp("traced")
        async with serving(folder, otel_endpoint=endpoint, simulator_pace=20) as served:
            desk = Desk(served.client())
            transfer = await desk.start(await desk.talk(), "0101", note=NOTE, metadata=[{"key": "k", "value": NOTE}])
            await desk.until(transfer, "CONSULTING")
            await desk.tell(transfer, "complete")
            await desk.until_ended(transfer)
            async with httpx.AsyncClient(verify=TLS) as http:
                headers = {"Authorization": f"Bearer {desk.client.token}"}
                query = f'query Look {{ call(id: "{NOTE}") {{ id }} }}'
                await http.get(f"{served.url}/graphql", params={"query": query}, headers=headers)
        yield collector


async def test_one_trace_leads_from_the_request_to_the_statement(collected: Collector) -> None:
    spans = [span for span in collected.spans if span.name.startswith("INSERT")]
    lines = [collected.line(span)[1:] for span in spans]
    assert ["Mutation.startTransfer", "mutation (anonymous)", "POST /graphql"] in lines


async def test_the_orders_stand_in_the_trace_of_the_request_that_they_follow_from(collected: Collector) -> None:
    start, complete = collected.named("Mutation.startTransfer"), collected.named("Mutation.completeTransfer")
    assert collected.named("order DIAL").trace_id == start.trace_id
    assert collected.named("order HANG_UP").trace_id == complete.trace_id


async def test_what_nobody_asked_for_is_not_traced(collected: Collector) -> None:
    roots = {span.name for span in collected.spans if not span.parent_span_id}
    assert {name.split()[0] for name in roots} <= {"POST", "GET", "order", "subscription"}


async def test_spans_carry_the_ids_of_the_log(collected: Collector) -> None:
    operation = collected.named("mutation (anonymous)")
    assert {"request_id", "customer_id", "operation"} <= {one.key for one in operation.attributes}
    assert "transfer_id" in {one.key for one in collected.named("order DIAL").attributes}


async def test_spans_do_not_carry_what_customers_write(collected: Collector) -> None:
    assert collected.named("query Look")
    assert not any(part in body for body in collected.bodies for part in (NOTE.encode(), b"cried", b"Bearer"))


async def test_without_its_packages_the_server_says_what_is_missing() -> None:
    environment = os.environ | {"TRANSFERS_OTEL_ENDPOINT": "http://127.0.0.1:1"}
    process = await create_subprocess_exec(sys.executable, "-c", BLOCKED, env=environment, stderr=PIPE)
    _, told = await process.communicate()
    assert process.returncode == 2
    assert told.startswith(b"transfers: TRANSFERS_OTEL_ENDPOINT: ")
    assert b"opentelemetry.sdk" in told
    assert told.count(b"\n") == 1
