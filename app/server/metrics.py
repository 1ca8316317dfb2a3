"""Prometheus metrics. Every label has few values: never an id, and only a limited number of names from clients."""

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
"""Most names of operations, from clients, that are label values."""
NAMES_PER_CUSTOMER = 10


class Names:
    """The names of operations that are label values; every other name is counted as "other".

    Clients choose these names, so their number is limited: only names of operations that succeeded, at most NAMES of
    them, and at most NAMES_PER_CUSTOMER of one customer. The names of trusted documents don't count: the operator
    chose them.
    """

    def __init__(self) -> None:
        self._known = {""}
        self._added: Tally[str] = Tally()  # how many names each customer has added

    def trust(self, names: Iterable[str]) -> None:
        self._known.update(names)

    def of(self, name: str | None, outcome: str, customer_id: str) -> str:
        name = name or ""
        if name not in self._known and outcome == OK and len(name) <= NAME_LENGTH and self._has_room(customer_id):
            self._known.add(name)
            self._added[customer_id] += 1
        return name if name in self._known else OTHER

    def _has_room(self, customer_id: str) -> bool:
        return self._added[customer_id] < NAMES_PER_CUSTOMER and self._added.total() < NAMES


class Metrics:
    """All metrics. As an observer it also counts orders, events and changes of transfers."""

    def __init__(self) -> None:
        # Otherwise each counter and histogram has a second series, of its creation time.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.names = Names()
        self._since: dict[str, datetime] = {}  # since when each live transfer has its status
        counter = partial(Counter, registry=self.registry)
        gauge = partial(Gauge, registry=self.registry)
        histogram = partial(Histogram, registry=self.registry)

        operations = counter(
            "transfers_operations", "GraphQL operations, by outcome: ok or an error's code", ["type", "name", "outcome"]
        )
        operation_seconds = histogram(
            "transfers_operation_seconds", "How long queries and mutations took", ["type", "name"], buckets=WORK_SECONDS
        )
        # To look up a label takes as long as to count, and each operation counts in both of these.
        self._count = lru_cache(4096)(operations.labels)
        self._time = lru_cache(512)(operation_seconds.labels)
        self._turned_away = counter("transfers_requests_refused", "Requests that ran no operation", ["code"])
        self._refusals = counter("transfers_refusals", "Commands answered with a user error", ["command", "code"])
        self.subscriptions = gauge("transfers_subscriptions", "Running subscriptions")

        self._live = gauge("transfers_live", "Live transfers", ["status"])
        self._started = counter("transfers_started", "Transfers started", ["type"])
        self._ended = counter("transfers_ended", "Transfers ended", ["type", "outcome", "reason"])
        self._status_seconds = histogram(
            "transfers_status_seconds", "How long transfers had a status", ["status"], buckets=STATUS_SECONDS
        )
        self._event_lag = histogram(
            "transfers_event_lag_seconds",
            "From the request of a change until its event is stored and announced",
            buckets=WORK_SECONDS,
        )

        self._waiting = gauge("transfers_orders_waiting", "Orders that the engine has not confirmed yet")
        self._orders = counter("transfers_orders", "Orders sent to the engine", ["engine", "kind", "outcome"])
        self._order_seconds = histogram(
            "transfers_order_seconds", "How long the engine took to answer", ["engine", "kind"], buckets=WORK_SECONDS
        )
        self._gave_up = counter("transfers_engine_errors", "Orders given up", ["engine", "kind"])
        self._database_up = gauge("transfers_database_up", "Whether the database could be read for this page")
        self._database_unavailable = counter("transfers_database_unavailable", "How often the database was unavailable")
        self._faults = counter("transfers_background_faults", "Background work that failed and is tried again")

    # --- operations

    def ran(self, kind: str, name: str | None, outcome: str, seconds: float | None, customer_id: str = "") -> None:
        """Count an operation. `seconds` is None if it did not run, and for a subscription, whose client ends it."""
        known = self.names.of(name, outcome, customer_id)
        self._count(kind, known, outcome).inc()
        if seconds is not None:
            self._time(kind, known).observe(seconds)

    def turned_away(self, code: str) -> None:
        self._turned_away.labels(code).inc()

    # --- read when the page is requested

    def watch(self, name: str, description: str, value: Callable[[], float], **labels: str) -> None:
        """Add a gauge whose value is read when the page is requested."""
        gauge = Gauge(name, description, list(labels), registry=self.registry)
        (gauge.labels(**labels) if labels else gauge).set_function(value)

    def take(self, live: Mapping[str, int] | None, waiting: float) -> None:
        """Set the metrics that come from the database. `live` is None if the database can't be read or trusted."""
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
    def carrying_out(self, engine: str, order: Order, transfer_id: str) -> Iterator[None]:
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
            self._orders.labels(engine, order.kind.value, outcome).inc()
            self._order_seconds.labels(engine, order.kind.value).observe(perf_counter() - begun)

    def gave_up(self, engine: str, order: Order) -> None:
        self._gave_up.labels(engine, order.kind.value).inc()

    def database_unavailable(self) -> None:
        self._database_unavailable.inc()

    def faulted(self) -> None:
        self._faults.inc()


def metrics_page(metrics: Metrics, look: Callable[[], Awaitable[None]]) -> Route:
    """Return the route. `look` updates the metrics that come from the database."""

    async def respond(request: Request) -> Response:
        await look()
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return Route("/metrics", respond)
