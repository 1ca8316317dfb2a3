"""Traces by OpenTelemetry: of a request, its operation, resolvers and SQL, and of the orders that follow from it.

Only `main` imports it, and only when traces are wanted: its packages are those of the extra `otel`. Spans carry ids and
codes, never what a customer wrote: no document, no argument, no query string, no message of an exception.
"""

import asyncio
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from inspect import isawaitable
from typing import Any

from graphql import GraphQLResolveInfo
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.instrumentation.sqlalchemy.engine import EngineTracer
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import Decision, ParentBased, Sampler, SamplingResult
from opentelemetry.trace import NonRecordingSpan, Span, SpanKind, Tracer, get_current_span, set_span_in_context
from sqlalchemy import Engine
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send
from strawberry.extensions import SchemaExtension
from structlog.contextvars import get_contextvars

from app.domain.life import Change
from app.domain.orders import Order
from app.ports import Observer

PATH = "/v1/traces"


class Tracing:
    """Where all spans of a process go, and what makes them."""

    def __init__(self, endpoint: str) -> None:
        resource = Resource.create({"service.name": "transfers"})
        self._provider = TracerProvider(sampler=ParentBased(Roots()), resource=resource)
        exporter = OTLPSpanExporter(endpoint.rstrip("/").removesuffix(PATH) + PATH)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("transfers")

    @property
    def middleware(self) -> Middleware:
        return Middleware(TracedRequests, provider=self._provider)

    def extension(self) -> SchemaExtension:
        return TracedOperation(self._tracer)

    def observer(self, inner: Observer) -> Observer:
        return TracedOrders(self._tracer, inner)

    def follow(self, engines: Sequence[Engine]) -> None:
        # Not by SQLAlchemyInstrumentor: it patches the library for the whole process, and wants one older than 2.1.
        connections = NoOpMeterProvider().get_meter("transfers").create_up_down_counter("connections")
        for engine in engines:
            EngineTracer(self._tracer, engine, connections)  # type: ignore[no-untyped-call]

    async def close(self) -> None:
        """Send what has not been sent yet."""
        await asyncio.to_thread(self._provider.shutdown)


class Roots(Sampler):
    """A statement that no request and no order asked for (timers, sweeps) begins no trace."""

    def should_sample(
        self, parent_context: Context | None, trace_id: int, name: str, kind: SpanKind | None = None, *_: Any, **__: Any
    ) -> SamplingResult:
        return SamplingResult(Decision.DROP if kind is SpanKind.CLIENT else Decision.RECORD_AND_SAMPLE)

    def get_description(self) -> str:
        return "Roots"


class TracedRequests:
    """WebSockets are left out: their span would last as long as they do, and each of their operations has its own."""

    def __init__(self, app: ASGIApp, provider: TracerProvider) -> None:
        self._app = app
        self._traced = OpenTelemetryMiddleware(
            app,
            excluded_urls="healthz,readyz,metrics",
            server_request_hook=_without_query,
            exclude_spans=["receive", "send"],
            tracer_provider=provider,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (self._traced if scope["type"] == "http" else self._app)(scope, receive, send)


def _without_query(span: Span, scope: Scope) -> None:
    span.set_attribute("http.url", scope["path"])
    span.set_attribute("url.query", "")


class TracedOperation(SchemaExtension):
    """A span for the operation, and one for each resolver that waits for something.

    Strawberry's own extension makes a coroutine of every field, and shows documents and arguments, notes among them.
    """

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def on_operation(self) -> Iterator[None]:
        about = get_contextvars()
        self._span = self._tracer.start_span(about.get("operation", "operation"), attributes=about)
        try:
            yield
        finally:
            self._span.end()

    def resolve(self, _next: Any, root: Any, info: GraphQLResolveInfo[Any], *args: str, **kwargs: Any) -> Any:
        result = _next(root, info, *args, **kwargs)
        return self._awaited(result, f"{info.parent_type.name}.{info.field_name}") if isawaitable(result) else result

    async def _awaited(self, result: Awaitable[Any], name: str) -> Any:
        operation = set_span_in_context(self._span)
        with self._tracer.start_as_current_span(name, operation, record_exception=False, set_status_on_exception=False):
            return await result


class TracedOrders:
    """The orders of a transfer stand in the trace of the last request that changed it."""

    def __init__(self, tracer: Tracer, inner: Observer) -> None:
        self._tracer = tracer
        self._inner = inner
        self._causes: dict[str, Context] = {}

    def changed(self, change: Change, at: datetime) -> None:
        cause = get_current_span().get_span_context()
        if not change.after.is_live:
            self._causes.pop(change.after.id, None)
        elif cause.is_valid:
            self._causes[change.after.id] = set_span_in_context(NonRecordingSpan(cause))
        self._inner.changed(change, at)

    @contextmanager
    def carrying_out(self, order: Order, transfer_id: str) -> Iterator[None]:
        about = {"transfer_id": transfer_id}
        cause = self._causes.get(transfer_id)
        with (
            self._tracer.start_as_current_span(f"order {order.kind}", cause, attributes=about),
            self._inner.carrying_out(order, transfer_id),
        ):
            yield

    def gave_up(self, order: Order) -> None:
        self._inner.gave_up(order)

    def database_unavailable(self) -> None:
        self._inner.database_unavailable()
