"""Traces as a collector receives them: each leads from a request to its orders, and has no private data."""

import asyncio
import os
import sys
from asyncio import create_subprocess_exec
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import httpx
import pytest
import pytest_asyncio
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from app.domain.calls import MuteDirection
from app.domain.orders import Order, OrderKind
from app.ports import NOBODY, OrderRefused
from app.server.wire.serve import listen
from app.tracing import CLOSE_SECONDS, Tracing
from tests.builders import TRANSFER
from tests.serving import TLS, receive, send, serving
from tests.stories.desk import Desk

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

NOTE = "the caller cried"
FAR = "/wp-admin/the-caller-cried-too"
LONG = "Much" * 500
DIAL = Order(OrderKind.DIAL, mute_direction=MuteDirection.NONE)
BLOCKED = """
import sys
sys.modules["opentelemetry"] = None
from app.cli import main
sys.argv = ["transfers", "serve"]
main()
"""


class Collector:
    """An OTLP collector that keeps the requests that it receives."""

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
        """Return the names of the span and of its ancestors."""
        above = [one for one in self.spans if one.span_id == span.parent_span_id]
        return [span.name, *(self.line(above[0]) if above else ())]


def attributes(span: Span) -> dict[str, str]:
    return {one.key: one.value.string_value for one in span.attributes}


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
        try:
            yield collector, f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def collected(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Collector]:
    """The collector after a server has run one complete transfer and stopped."""
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
                await http.get(f"{served.url}{FAR}")
            async with desk.client.socket() as socket:
                for number, query in enumerate((f"query {LONG} {{ viewer {{ subject }} }}", "query Wrong { nothing }")):
                    await send(socket, id=str(number), type="subscribe", payload={"query": query})
                    while (await receive(socket))["type"] not in ("complete", "error"):
                        pass
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
    assert {name.split()[0] for name in roots} <= {"POST", "GET", "order", "subscription", "event", "query"}


async def test_spans_carry_the_ids_of_the_log(collected: Collector) -> None:
    operation = collected.named("mutation (anonymous)")
    assert {"request_id", "customer_id", "operation"} <= {one.key for one in operation.attributes}
    assert "transfer_id" in {one.key for one in collected.named("order DIAL").attributes}


async def test_so_do_those_that_begin_a_trace(collected: Collector) -> None:
    on_a_socket = next(span for span in collected.spans if span.name.startswith("subscription"))
    assert not on_a_socket.parent_span_id
    assert {"request_id", "customer_id", "operation"} <= set(attributes(on_a_socket))


async def test_operations_tell_their_outcome(collected: Collector) -> None:
    assert attributes(collected.named("mutation (anonymous)"))["outcome"] == "ok"
    assert attributes(collected.named("query Wrong"))["outcome"] == "GRAPHQL_VALIDATION_FAILED"


async def test_each_event_is_a_trace_of_its_own_linked_to_its_subscription(collected: Collector) -> None:
    subscriptions = {span.span_id for span in collected.spans if span.name.startswith("subscription")}
    events = [span for span in collected.spans if span.name == "event subscription (anonymous)"]
    assert {span.links[0].span_id for span in events} <= subscriptions
    assert len({span.trace_id for span in events}) == len(events) > len(subscriptions)
    assert not any(span.parent_span_id in subscriptions for span in collected.spans)
    below = {span.name for span in collected.spans if span.parent_span_id in {one.span_id for one in events}}
    assert "TransferEvent.transfer" in below


async def test_names_are_short_and_few_whatever_clients_make_up(collected: Collector) -> None:
    names = {span.name for span in collected.spans}
    assert max(len(name) for name in names) <= 100
    assert "GET" in names
    assert not any(FAR.encode() in body for body in collected.bodies)


async def test_spans_do_not_carry_what_customers_write(collected: Collector) -> None:
    assert collected.named("query Look")
    assert not any(part in body for body in collected.bodies for part in (NOTE.encode(), b"cried", b"Bearer"))


async def traced(share: float, error: Exception | None) -> Collector:
    """Return the collector after one order, which raised `error` unless that is None."""
    with collecting() as (collector, endpoint):
        tracing = Tracing(endpoint, share)
        with suppress(OrderRefused), tracing.observer(NOBODY).carrying_out("simulator", DIAL, TRANSFER):
            if error:
                raise error
        await tracing.close()
    return collector


async def test_an_order_that_is_refused_tells_by_what_and_not_in_which_words() -> None:
    collector = await traced(1, OrderRefused("no route to +15551234567"))
    (order,) = collector.spans
    assert attributes(order) == {"transfer_id": TRANSFER, "engine": "simulator"}
    assert order.status.code == Status.STATUS_CODE_ERROR
    assert [one.value.string_value for one in order.events[0].attributes] == ["app.ports.OrderRefused"]
    assert not any(b"+1555" in body for body in collector.bodies)


async def test_a_collector_that_does_not_answer_does_not_hold_up_the_end() -> None:
    with listen("127.0.0.1", 0) as silent:
        tracing = Tracing(f"http://127.0.0.1:{silent.getsockname()[1]}")
        with tracing.observer(NOBODY).carrying_out("simulator", DIAL, TRANSFER):
            pass
        async with asyncio.timeout(CLOSE_SECONDS + 5):
            await tracing.close()


async def test_the_share_of_traces_that_is_sent_can_be_set() -> None:
    assert len((await traced(1, None)).spans) == 1
    assert (await traced(0, None)).spans == []


async def test_without_its_packages_the_server_says_what_is_missing() -> None:
    environment = os.environ | {"TRANSFERS_OTEL_ENDPOINT": "http://127.0.0.1:1"}
    process = await create_subprocess_exec(sys.executable, "-c", BLOCKED, env=environment, stderr=PIPE)
    _, told = await process.communicate()
    assert process.returncode == 2
    assert told.startswith(b"transfers: TRANSFERS_OTEL_ENDPOINT: ")
    assert b"opentelemetry.sdk" in told
    assert b"make otel" in told
    assert b"'.[otel]'" in told
    assert told.count(b"\n") == 1
