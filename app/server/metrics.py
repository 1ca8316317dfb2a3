"""Figures for Prometheus. Labels come from small sets: never an id, never without end what a client makes up."""

from collections import Counter as Tally
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache, partial
from time import perf_counter

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.api.execution.document import NAME_LENGTH
from app.domain.life import Change
from app.domain.orders import Order
from app.domain.refusals import RefusalCode
from app.domain.transfer import LIVE
from app.ports import EngineUnavailable, OrderRefused

WORK_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
STATUS_SECONDS = (0.1, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 900, 3600)

OK = "ok"
OTHER = "other"
NAMES = 100
NAMES_OF_ONE = 10


class Names:
    """The first hundred names of operations that succeeded, of one customer ten; what else clients make up is all one.

    Those of trusted documents are the operator's, and take no place.
    """

    def __init__(self) -> None:
        self._known = {""}
        self._brought: Tally[str] = Tally()  # by which customer

    def trust(self, names: Iterable[str]) -> None:
        self._known.update(names)

    def of(self, name: str | None, outcome: str, customer_id: str) -> str:
        name = name or ""
        if name not in self._known and outcome == OK and len(name) <= NAME_LENGTH and self._has_room(customer_id):
            self._known.add(name)
            self._brought[customer_id] += 1
        return name if name in self._known else OTHER

    def _has_room(self, customer_id: str) -> bool:
        return self._brought[customer_id] < NAMES_OF_ONE and self._brought.total() < NAMES


class Metrics:
    """Every figure. As an observer it counts what happens in the engine room."""

    def __init__(self) -> None:
        # A second series for each counter and histogram, of which nothing follows.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.names = Names()
        self._since: dict[str, datetime] = {}  # when each live transfer took the status that it has
        counter = partial(Counter, registry=self.registry)
        gauge = partial(Gauge, registry=self.registry)
        histogram = partial(Histogram, registry=self.registry)

        operations = counter(
            "transfers_operations", "GraphQL operations, by outcome: ok or an error's code", ["type", "name", "outcome"]
        )
        operation_seconds = histogram(
            "transfers_operation_seconds", "How long queries and mutations took", ["type", "name"], buckets=WORK_SECONDS
        )
        # A label takes as long to look up as a figure to change, and these two change with every operation.
        self._count = lru_cache(4096)(operations.labels)
        self._time = lru_cache(512)(operation_seconds.labels)
        self._turned_away = counter("transfers_requests_refused", "Requests that ran no operation", ["code"])
        self._refusals = counter("transfers_refusals", "Commands answered with a user error", ["command", "code"])
        self.subscriptions = gauge("transfers_subscriptions", "Subscriptions that run")

        self._live = gauge("transfers_live", "Transfers under way", ["status"])
        self._started = counter("transfers_started", "Transfers started", ["type"])
        self._ended = counter("transfers_ended", "Transfers ended", ["type", "outcome", "reason"])
        self._status_seconds = histogram(
            "transfers_status_seconds", "How long transfers had a status", ["status"], buckets=STATUS_SECONDS
        )
        self._event_lag = histogram(
            "transfers_event_lag_seconds",
            "From the asking for a change until it is stored and told of",
            buckets=WORK_SECONDS,
        )

        self._waiting = gauge("transfers_orders_waiting", "Orders that the engine has yet to confirm")
        self._orders = counter("transfers_orders", "Times that the engine was asked", ["kind", "outcome"])
        self._order_seconds = histogram(
            "transfers_order_seconds", "How long the engine took to answer", ["kind"], buckets=WORK_SECONDS
        )
        self._gave_up = counter("transfers_engine_errors", "Orders given up", ["kind"])
        self._database_up = gauge("transfers_database_up", "Whether the database could be read just now")
        self._database_unavailable = counter("transfers_database_unavailable", "Work that the database did not take")
        self._faults = counter("transfers_background_faults", "Work of our own that failed, and is tried again")

    # --- operations

    def ran(self, kind: str, name: str | None, outcome: str, seconds: float | None, customer_id: str = "") -> None:
        """No `seconds`: it was refused before it ran, or is a subscription, which lasts as long as its client likes."""
        known = self.names.of(name, outcome, customer_id)
        self._count(kind, known, outcome).inc()
        if seconds is not None:
            self._time(kind, known).observe(seconds)

    def turned_away(self, code: str) -> None:
        self._turned_away.labels(code).inc()

    # --- what is so when somebody looks

    def watch(self, name: str, description: str, value: Callable[[], float]) -> None:
        """A gauge that is read when somebody looks."""
        Gauge(name, description, registry=self.registry).set_function(value)

    def take(self, live: Mapping[str, int] | None, waiting: float) -> None:
        """What the database says; None when it says nothing that can be relied on."""
        self._database_up.set(live is not None)
        self._waiting.set(waiting)
        self._live.clear()
        for status in LIVE if live is not None else ():
            self._live.labels(status.value).set(0)
        for name, count in (live or {}).items():
            self._live.labels(name).set(count)

    # --- as an observer

    def changed(self, change: Change) -> None:
        before, t = change.before, change.after
        if before is None:
            self._started.labels(t.type.value).inc()
        elif before.status is t.status:
            return
        elif t.id in self._since:
            lasted = t.tm_update - self._since.pop(t.id)
            self._status_seconds.labels(before.status.value).observe(lasted.total_seconds())
        if t.is_live:
            self._since[t.id] = t.tm_update
        else:
            self._ended.labels(t.type.value, t.status.value, t.outcome_reason or "").inc()

    def told(self, seconds: float) -> None:
        self._event_lag.observe(seconds)

    def refused(self, command: str, code: RefusalCode) -> None:
        self._refusals.labels(command, code.value).inc()

    @contextmanager
    def carrying_out(self, order: Order, transfer_id: str) -> Iterator[None]:
        begun, outcome = perf_counter(), "interrupted"
        try:
            yield
            outcome = "confirmed"
        except OrderRefused:
            outcome = "refused"
            raise
        except EngineUnavailable:
            outcome = "unanswered"
            raise
        finally:
            self._orders.labels(order.kind.value, outcome).inc()
            self._order_seconds.labels(order.kind.value).observe(perf_counter() - begun)

    def gave_up(self, order: Order) -> None:
        self._gave_up.labels(order.kind.value).inc()

    def database_unavailable(self) -> None:
        self._database_unavailable.inc()

    def faulted(self) -> None:
        self._faults.inc()


def metrics_page(metrics: Metrics, look: Callable[[], Awaitable[None]]) -> Route:
    """`look` brings up to date what the database knows."""

    async def respond(request: Request) -> Response:
        await look()
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return Route("/metrics", respond)
