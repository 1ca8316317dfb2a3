"""The composition root builds everything from the settings: adapters, use cases and the ASGI application."""

import asyncio
import logging
import math
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from time import monotonic
from typing import TYPE_CHECKING
from uuid import uuid4

from alembic.util import CommandError
from sqlalchemy.exc import DatabaseError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.routing import Route, WebSocketRoute

from app.api.context import Context, Services
from app.api.execution.document import Documents
from app.api.execution.executor import Executor
from app.api.metering.budget import Budget
from app.api.metering.limits import Limits
from app.api.schema import build_schema
from app.brokers.memory import MemoryBroker
from app.calls import Calls
from app.demo import Demo
from app.dispatch import Dispatch
from app.domain.effects import Rules
from app.domain.viewer import Viewer
from app.limits import TransportLimits
from app.ports import Broker, Clock, Engine, Simulation, Telephony, utc_now
from app.recovery import Recovery
from app.server.auth import Keys, KeySet, PublicKey, Secret, Tokens
from app.server.graphiql import graphiql
from app.server.health import health
from app.server.metrics import Metrics, metrics_page
from app.server.pages.site import Site
from app.server.protocol.endpoint import GraphQLEndpoint
from app.server.protocol.journal import Journal
from app.server.protocol.trusted import NOTHING_TRUSTED, TrustedDocuments
from app.server.schema_text import schema_text
from app.settings import Settings, database_file, kept_secret
from app.storage.claim import Claim, Claimed
from app.storage.database import Database, DatabaseUnavailable, check_file
from app.storage.orders import count_waiting
from app.storage.transfers import live_by_status
from app.telephony.simulator.engine import build as build_simulator
from app.timers import SteadyClock, Timers
from app.transfers import Transfers

if TYPE_CHECKING:  # its packages are an optional extra, so it is imported only when traces are on
    from app.tracing import Tracing

log = logging.getLogger(__name__)

HOME = ["localhost", "127.0.0.1", "::1", "[::1]"]

AGAIN_SECONDS = 1.0
"""Seconds until background work that has failed starts again."""

ENGINES: Mapping[str, Callable[[Settings, Database, Clock, bool], Engine]] = {
    "simulator": build_simulator,
}
"""Builds each telephony engine, by its name in TRANSFERS_TELEPHONY. The last argument: whether this is a demo."""


class CantStart(Exception):
    """The server can't start. The message says in one line what the operator must repair."""


def new_id() -> str:
    return str(uuid4())


@dataclass(frozen=True, slots=True)
class House:
    """The parts of one server process, below its API."""

    settings: Settings
    clock: Clock
    claim: Claim
    database: Database
    broker: Broker
    telephony: Telephony
    simulation: Simulation | None
    calls: Calls
    transfers: Transfers
    recovery: Recovery
    metrics: Metrics
    tracing: "Tracing | None"

    async def prepare(self) -> None:
        """Claim the database and upgrade its tables. Raises CantStart. May be called twice."""
        file = database_file(self.settings.url)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self.claim.take()
            check_file(file)
            await self.database.upgrade()
        except Claimed as error:
            raise CantStart(str(error)) from error
        except (OSError, sqlite3.Error, DatabaseError, CommandError) as error:
            self.claim.give_up()
            raise CantStart(f"{file} can't be used: {getattr(error, 'orig', None) or error}") from error

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Prepare the database, and follow the engine while the block runs."""
        await self.prepare()
        try:
            async with self.at_work(self.telephony.run, self.recovery.run):
                yield
        finally:
            await self.database.close()
            self.claim.give_up()
            if self.tracing:
                await self.tracing.close()

    @asynccontextmanager
    async def at_work(self, *works: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
        """Run each work in the background until the block ends."""
        tasks = [asyncio.create_task(self._endless(work)) for work in works]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                with suppress(asyncio.CancelledError):
                    await task

    async def _endless(self, work: Callable[[], Awaitable[None]]) -> None:
        """Start the work again after a bug has ended it."""
        while True:
            try:
                await work()
            except Exception:
                log.exception("%s ended, and begins again", work.__qualname__)
                self.metrics.faulted()
            await asyncio.sleep(AGAIN_SECONDS)

    async def is_ready(self) -> bool:
        return self.recovery.caught_up.is_set() and self.telephony.is_up() and await self.database.is_ready()

    async def take_figures(self) -> None:
        """Read the metrics that come from the database."""
        try:
            async with self.database.reading() as connection:
                live, waiting = await live_by_status(connection), await count_waiting(connection)
            self.metrics.take(live if self.database.is_sound() else None, waiting)
        except DatabaseUnavailable:
            self.metrics.take(None, math.nan)


def build_house(
    settings: Settings,
    clock: Clock = utc_now,
    counter: Callable[[], float] = monotonic,
    database: Database | None = None,
    broker: Broker | None = None,
    engine: Engine | None = None,
    is_demo: bool = False,
) -> House:
    """Build the parts. Adapters that are not given are those that the settings name.

    `counter` is the monotonic clock, in seconds.
    """
    metrics, tracing = Metrics(), _tracing(settings)
    observer = tracing.observer(metrics) if tracing else metrics
    database, broker = database or Database(settings.url, observer), broker or MemoryBroker()
    if tracing:
        tracing.follow(database.engines)
    rules = Rules(settings.start_timeout, settings.recall_pause, settings.recall_attempts)
    steady = SteadyClock(clock, counter)
    engine = engine or ENGINES[settings.telephony](settings, database, steady, is_demo)
    telephony = engine.telephony
    calls = Calls(database, broker, clock)
    transfers = Transfers(database, broker, clock, new_id, telephony.is_up, rules, Timers(counter), observer)
    dispatch = Dispatch(
        database,
        broker,
        telephony,
        clock,
        transfers,
        calls,
        rules,
        settings.order_tries,
        settings.order_seconds,
        observer=observer,
    )
    metrics.watch("transfers_engine_up", "Whether the telephony engine is up", telephony.is_up, engine=telephony.name)
    recovery = Recovery(database, broker, telephony, clock, transfers, calls, dispatch, observer)
    metrics.watch("transfers_caught_up", "Whether live transfers are in step with it", recovery.caught_up.is_set)
    claim = Claim(database_file(settings.url))
    return House(
        settings,
        clock,
        claim,
        database,
        broker,
        telephony,
        engine.simulation,
        calls,
        transfers,
        recovery,
        metrics,
        tracing,
    )


def _tracing(settings: Settings) -> "Tracing | None":
    if settings.otel_endpoint is None:
        return None
    made: Tracing = import_module("app.tracing").Tracing(settings.otel_endpoint, settings.otel_sampling)
    return made


def build_tokens(settings: Settings) -> Tokens:
    return Tokens(_keys(settings), settings.auth_issuer, settings.auth_audience)


def _keys(settings: Settings) -> Keys:
    if settings.auth_jwks_url:
        return KeySet(settings.auth_jwks_url)
    if settings.auth_public_key:
        return PublicKey(settings.auth_public_key)
    if settings.auth_secret:
        return Secret(settings.auth_secret.get_secret_value())
    return Secret(kept_secret(settings.url))


@dataclass(frozen=True, slots=True)
class Server:
    app: Starlette
    house: House
    endpoint: GraphQLEndpoint
    limits: TransportLimits
    demo: Demo | None


def build_server(settings: Settings, is_demo: bool = False, house: House | None = None) -> Server:
    if is_demo and settings.verifies_only:
        raise ValueError("--demo signs a token: that needs a secret, not TRANSFERS_AUTH_PUBLIC_KEY or _JWKS_URL")
    house = house or build_house(settings, is_demo=is_demo)
    tokens = build_tokens(settings)
    is_open = is_demo or settings.is_loopback
    services = Services(
        house.database,
        house.transfers,
        house.simulation,
        house.broker,
        house.clock,
        settings.sweep_seconds,
        house.metrics,
    )
    limits = Limits(max_cost=settings.max_cost, budget=settings.budget, budget_rate=settings.budget_rate)
    budget, transport_limits = Budget(limits.budget, limits.budget_rate), _transport(settings, is_demo)
    introspects = is_open if settings.introspection is None else settings.introspection
    schema = build_schema(introspection=introspects)
    executor = Executor(schema, limits, budget, house.tracing.operation if house.tracing else None)
    trusted = _trusted(settings, executor.documents)
    house.metrics.names.trust(trusted.names)
    endpoint = GraphQLEndpoint(
        executor,
        tokens.viewer,
        _context_maker(services),
        transport_limits,
        house.clock,
        house.metrics,
        trusted,
    )
    house.metrics.watch("transfers_connections", "Open WebSockets and event streams", lambda: endpoint.connections)

    async def is_ready() -> bool:
        return not endpoint.draining and await house.is_ready()

    demo = _demo(house, tokens) if is_demo else None
    shows_schema = introspects and not settings.documents_only  # trusted documents alone allow no introspection
    pages = is_open if settings.graphiql is None else settings.graphiql
    measured = is_open if settings.metrics is None else settings.metrics
    token = demo.token if demo and pages else None
    site = Site(is_ready, schema._schema if shows_schema else None, graphiql=pages, metrics=measured, token=token)
    routes = [
        Route("/graphql", endpoint),
        WebSocketRoute("/graphql", endpoint),
        *health(is_ready),
        *([schema_text(schema.sdl, tokens.viewer, Journal(house.metrics))] if shows_schema else ()),
        *([metrics_page(house.metrics, house.take_figures)] if measured else ()),
        *(graphiql(demo.session if demo else None) if pages else ()),
        *site.routes(),
    ]
    middleware = [*([house.tracing.middleware] if house.tracing else []), *(_at_home(settings) if is_demo else [])]
    app = Starlette(routes=routes, middleware=middleware, lifespan=_lifespan(house, demo))
    app.router.redirect_slashes = False  # it would redirect to the client's Host header, and never to https
    return Server(app, house, endpoint, transport_limits, demo)


def _demo(house: House, tokens: Tokens) -> Demo:
    if house.simulation is None:
        raise ValueError(f"--demo places simulated calls, and the engine {house.telephony.name} can't simulate any")
    return Demo(house.simulation, house.calls, house.broker, tokens)


def _at_home(settings: Settings) -> list[Middleware]:
    """Refuse other host names, since a demo gives its token to its pages, and DNS rebinding could make others."""
    names = [*HOME, settings.host, f"[{settings.host}]"]
    return [Middleware(TrustedHostMiddleware, allowed_hosts=names)] if settings.is_loopback else []


def _transport(settings: Settings, is_demo: bool) -> TransportLimits:
    return TransportLimits(
        body_bytes=settings.body_bytes,
        operation_seconds=settings.operation_seconds,
        customer_connections=settings.customer_connections,
        customer_subscriptions=settings.customer_subscriptions,
        address_connections=settings.address_connections,
        allowed_origins=settings.allowed_origins,
        loopback_origins=is_demo,
        http_draft=settings.http_draft,
    )


def _trusted(settings: Settings, documents: Documents) -> TrustedDocuments:
    if settings.documents is None:
        return NOTHING_TRUSTED
    folder, strict = settings.documents, settings.documents_only
    return TrustedDocuments.load(folder, partial(documents.read, reader=None), strict=strict)


def _context_maker(services: Services) -> Callable[[Viewer, str], Context]:
    return lambda viewer, request_id: Context(viewer, request_id, services)


def _lifespan(house: House, demo: Demo | None) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with house.open():
            if not demo:
                yield
                return
            await house.recovery.caught_up.wait()
            await demo.prepare()
            async with house.at_work(demo.run):
                yield

    return lifespan
