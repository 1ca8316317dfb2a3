"""OpenTelemetry traces of requests, operations, resolvers and SQL, and of the orders that follow from them.

Only `main` imports this module, and only when traces are on: it needs the packages of the extra `otel`. Spans have ids
and codes, but never a customer's text: no document, argument, query string, or message of an exception.
"""

import asyncio
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager
from inspect import isawaitable
from threading import Thread
from typing import Any

from graphql import GraphQLResolveInfo, OperationType
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.instrumentation.sqlalchemy.engine import EngineTracer
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import Decision, ParentBased, SamplingResult, TraceIdRatioBased
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanKind,
    Status,
    Tracer,
    get_current_span,
    set_span_in_context,
)
from sqlalchemy import Engine
from starlette.middleware import Middleware
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send
from structlog.contextvars import get_contextvars

from app.domain.life import Change
from app.domain.orders import Order
from app.domain.refusals import RefusalCode
from app.ports import Observer
from app.server.protocol.journal import present

PATH = "/v1/traces"
SHOWN_OF_EXCEPTIONS = ("exception.type",)
ATTRIBUTE_LENGTH = 2_000
"""Most characters of an attribute. Clients decide how long headers and SQL statements are."""
CLOSE_SECONDS = 2


class Tracing:
    """The exporter of a process's spans, and the hooks that create them."""

    def __init__(self, endpoint: str, share: float = 1) -> None:
        resource = Resource.create({"service.name": "transfers"})
        limits = SpanLimits(max_attribute_length=ATTRIBUTE_LENGTH)
        self._provider = TracerProvider(ParentBased(Roots(share)), resource, span_limits=limits)
        exporter = Discreet(OTLPSpanExporter(endpoint.rstrip("/").removesuffix(PATH) + PATH))
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("transfers")

    @property
    def middleware(self) -> Middleware:
        return Middleware(TracedRequests, provider=self._provider)

    def operation(self) -> "TracedOperation":
        return TracedOperation(self._tracer)

    def observer(self, inner: Observer) -> Observer:
        return TracedOrders(self._tracer, inner)

    def follow(self, engines: Sequence[Engine]) -> None:
        # Don't use SQLAlchemyInstrumentor: it patches the library for the whole process, and needs a version below 2.1.
        connections = NoOpMeterProvider().get_meter("transfers").create_up_down_counter("connections")
        for engine in engines:
            EngineTracer(self._tracer, engine, connections)  # type: ignore[no-untyped-call]

    async def close(self) -> None:
        """Send the remaining spans, for at most CLOSE_SECONDS. The SDK itself would try for 30 seconds."""
        sending = Thread(target=self._provider.shutdown, daemon=True)  # the process must not wait for it
        sending.start()
        await asyncio.to_thread(sending.join, CLOSE_SECONDS)


class Discreet(SpanExporter):
    """An exporter that removes the messages of exceptions: libraries record them, and they can quote a customer."""

    def __init__(self, inner: SpanExporter) -> None:
        self._inner = inner

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._inner.export([_discreet(span) for span in spans])

    def shutdown(self) -> None:
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._inner.force_flush(timeout_millis)


def _discreet(span: ReadableSpan) -> ReadableSpan:
    return ReadableSpan(
        span.name,
        span.context,
        span.parent,
        span.resource,
        span.attributes,
        [_wordless(event) for event in span.events],
        span.links,
        span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _wordless(event: Event) -> Event:
    shown = {name: value for name, value in (event.attributes or {}).items() if name in SHOWN_OF_EXCEPTIONS}
    return Event(event.name, shown, event.timestamp)


class Roots(TraceIdRatioBased):
    """A sampler that keeps a share of all traces. SQL of timers and sweeps, without a request or order, starts none."""

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        *_: Any,
        **more: Any,
    ) -> SamplingResult:
        if kind is SpanKind.CLIENT:
            return SamplingResult(Decision.DROP)
        return super().should_sample(parent_context, trace_id, name, kind, **more)


class TracedRequests:
    """Middleware that traces HTTP requests. A WebSocket has no span, since it can last for days; its operations do."""

    def __init__(self, app: ASGIApp, provider: TracerProvider) -> None:
        self._app = app
        self._traced = OpenTelemetryMiddleware(
            app,
            excluded_urls="healthz,readyz,metrics",
            default_span_details=_by_route,
            server_request_hook=_without_address,
            exclude_spans=["receive", "send"],
            tracer_provider=provider,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (self._traced if scope["type"] == "http" else self._app)(scope, receive, send)


def _by_route(scope: Scope) -> tuple[str, dict[str, Any]]:
    return f"{scope['method']} {_route(scope)}".rstrip(), {}


def _route(scope: Scope) -> str:
    """Return the path of the matching route, or "". The requested path is not used, since it can be any text."""
    matching = (route for route in scope["app"].routes if route.matches(scope)[0] is not Match.NONE)
    return next((str(route.path) for route in matching), "")


def _without_address(span: Span, scope: Scope) -> None:
    for name in ("http.url", "http.target", "url.path"):
        span.set_attribute(name, _route(scope))
    span.set_attribute("url.query", "")


class TracedOperation:
    """A span for the operation, and one for each asynchronous resolver.

    A subscription can last for days, so each of its events is a trace of its own, linked to the subscription's.
    Strawberry's own extension makes every field a coroutine, and its spans show documents and arguments, even notes.
    """

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._event: Span | None = None
        self._about = get_contextvars()
        self._span = self._tracer.start_span(self._about["operation"], attributes=self._about)
        present.get().at_end(self._end)

    def _end(self, outcome: str) -> None:
        self.end_event()
        self._span.set_attribute("outcome", outcome)
        self._span.end()

    def _begin_event(self) -> None:
        links = [Link(self._span.get_span_context())]
        name = f"event {self._about['operation']}"
        self._event = self._tracer.start_span(name, Context(), attributes=self._about, links=links)

    def end_event(self) -> None:
        if self._event:
            self._event.end()
        self._event = None

    def resolve(self, next_: Any, root: Any, info: GraphQLResolveInfo[Any], *args: Any, **more: Any) -> Any:
        if info.path.prev is None and info.operation.operation is OperationType.SUBSCRIPTION:
            self._begin_event()
        result = next_(root, info, *args, **more)
        return self._awaited(result, f"{info.parent_type.name}.{info.field_name}") if isawaitable(result) else result

    async def _awaited(self, result: Awaitable[Any], name: str) -> Any:
        work = set_span_in_context(self._event or self._span)
        with self._tracer.start_as_current_span(name, work, record_exception=False, set_status_on_exception=False):
            return await result


class TracedOrders:
    """An observer that adds the spans of orders to the trace of the last request that changed their transfer."""

    def __init__(self, tracer: Tracer, inner: Observer) -> None:
        self._tracer = tracer
        self._inner = inner
        self._causes: dict[str, Context] = {}

    def changed(self, change: Change) -> None:
        cause = get_current_span().get_span_context()
        if not change.after.is_live:
            self._causes.pop(change.after.id, None)
        elif cause.is_valid:
            self._causes[change.after.id] = set_span_in_context(NonRecordingSpan(cause))
        self._inner.changed(change)

    def told(self, seconds: float) -> None:
        self._inner.told(seconds)

    def refused(self, command: str, code: RefusalCode) -> None:
        self._inner.refused(command, code)

    @contextmanager
    def carrying_out(self, engine: str, order: Order, transfer_id: str) -> Iterator[None]:
        about = {"transfer_id": transfer_id, "engine": engine}
        cause = self._causes.get(transfer_id)
        with (
            self._tracer.start_as_current_span(f"order {order.kind}", cause, attributes=about),
            self._inner.carrying_out(engine, order, transfer_id),
        ):
            yield

    def gave_up(self, engine: str, order: Order) -> None:
        self._inner.gave_up(engine, order)

    def database_unavailable(self) -> None:
        self._inner.database_unavailable()

    def faulted(self) -> None:
        self._inner.faulted()
