"""A small schema whose operations wait or fail on demand, and a server for it."""

import asyncio
import ssl
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import strawberry
from graphql import GraphQLError
from starlette.applications import Starlette
from starlette.routing import Route, WebSocketRoute

from app.api.execution.executor import Executor
from app.api.metering.budget import Budget, Charge
from app.api.metering.limits import Limits
from app.api.schema import Schema
from app.domain.viewer import Permission, Viewer
from app.limits import TransportLimits
from app.server.auth import Secret, Tokens
from app.server.metrics import Metrics
from app.server.protocol.endpoint import GraphQLEndpoint
from app.server.protocol.trusted import NOTHING_TRUSTED, TrustedDocuments
from app.server.wire.serve import DrainingServer, configure, listen

CUSTOMER = "5e4a0680-804e-11ec-8477-2fea5968d85b"
OTHER_CUSTOMER = "aaaaaaaa-804e-11ec-8477-2fea5968d85b"
TOKENS = Tokens(Secret("a secret that is only good for tests"))


def token(customer: str = CUSTOMER, subject: str = "alice", ttl: float = 600, *permissions: Permission) -> str:
    return TOKENS.issue(customer, subject, permissions, ttl)


def authorization(value: str | None = None) -> dict[str, str]:
    return {"Authorization": f"Bearer {value or token()}"}


@dataclass
class Probe:
    """Counts what the resolvers do, so that tests can await it."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)  # until it is set, `slow` and `slowNote` wait
    seen: Counter[str] = field(default_factory=Counter)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    contexts: list["Context"] = field(default_factory=list)

    async def note(self, *names: str) -> None:
        async with self.changed:
            self.seen.update(names)
            self.changed.notify_all()

    async def until(self, name: str, count: int = 1) -> None:
        async with asyncio.timeout(10), self.changed:
            await self.changed.wait_for(lambda: self.seen[name] >= count)

    def context(self, viewer: Viewer, request_id: str) -> "Context":
        context = Context(self, viewer, request_id)
        self.contexts.append(context)
        return context


@dataclass
class Context:
    probe: Probe
    viewer: Viewer
    request_id: str
    charge: Charge | None = None


Info = strawberry.Info[Context, None]


async def waited(probe: Probe, name: str) -> str:
    await probe.note(f"{name} began")
    try:
        await probe.gate.wait()
    except asyncio.CancelledError:
        await asyncio.shield(probe.note(f"{name} cancelled"))
        raise
    await probe.note(f"{name} done")
    return name


def refused() -> GraphQLError:
    return GraphQLError("Not you", extensions={"code": "FORBIDDEN"})


@strawberry.type
class Query:
    @strawberry.field
    def hello(self, name: str = "world") -> str:
        return f"Hello, {name}!"

    @strawberry.field
    def twice(self, number: int) -> int | None:
        return number * 2

    @strawberry.field
    def viewer(self, info: Info) -> str:
        return info.context.viewer.subject

    @strawberry.field
    def extension(self, info: Info) -> str | None:
        return str(info._raw_info.operation_extensions)  # type: ignore[attr-defined]

    @strawberry.field
    def request_id(self, info: Info) -> str:
        return info.context.request_id

    @strawberry.field
    async def slow(self, info: Info) -> str:
        return await waited(info.context.probe, "slow")

    @strawberry.field
    def broken(self) -> str | None:
        raise ValueError("a secret in a message")

    @strawberry.field
    def broken_for_good(self) -> str:
        raise ValueError("a secret in a message")

    @strawberry.field
    def forbidden(self) -> str | None:
        raise refused()

    @strawberry.field
    def too_big(self) -> int | None:
        return 2**40


@strawberry.type
class Mutation:
    @strawberry.mutation
    def note(self, text: str) -> str:
        return text

    @strawberry.mutation
    async def slow_note(self, info: Info) -> str:
        return await waited(info.context.probe, "slowNote")


@strawberry.type
class BrokenEvent:
    @strawberry.field
    def field(self) -> str | None:
        raise refused()


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def count(self, to: int) -> AsyncGenerator[int]:
        for number in range(to):
            yield number

    @strawberry.subscription
    async def forever(self, info: Info, size: int = 1) -> AsyncGenerator[str]:
        """Yield one small event, or large events without end."""
        probe = info.context.probe
        await probe.note("forever began")
        try:
            yield "x" * size
            while size > 1:
                await asyncio.sleep(0)
                await probe.note("large")
                yield "x" * size
            await asyncio.Event().wait()
        finally:
            await asyncio.shield(probe.note("forever ended"))

    @strawberry.subscription
    async def refused(self) -> AsyncGenerator[int]:
        raise refused()
        yield 1

    @strawberry.subscription
    async def broken_later(self) -> AsyncGenerator[int]:
        yield 1
        raise ValueError("a secret in a message")

    @strawberry.subscription
    async def refused_later(self) -> AsyncGenerator[int]:
        yield 1
        raise refused()

    @strawberry.subscription
    async def broken_events(self) -> AsyncGenerator[BrokenEvent]:
        yield BrokenEvent()
        yield BrokenEvent()


LIMITS = Limits(report_cost=False)
TOY = Schema(Query, Mutation, Subscription)
EXECUTOR = Executor(TOY, LIMITS, Budget(LIMITS.budget, LIMITS.budget_rate))


@dataclass(frozen=True)
class Site:
    """A running server."""

    port: int
    probe: Probe
    server: DrainingServer
    endpoint: GraphQLEndpoint
    metrics: Metrics

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def turned_away(self, code: str) -> float:
        """Return how many requests were refused with this error code."""
        return self.metrics.registry.get_sample_value("transfers_requests_refused_total", {"code": code}) or 0

    def client(self, **headers: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url, headers={**authorization(), **headers}, verify=NO_TLS)


# The default context reads the system's certificates, which takes longer than a test.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@asynccontextmanager
async def site(
    limits: TransportLimits | None = None,
    grace_seconds: float = 5,
    user_timeout: float = 20,
    authenticate: Callable[[str], Awaitable[Viewer]] = TOKENS.viewer,
    trusted: TrustedDocuments = NOTHING_TRUSTED,
) -> AsyncIterator[Site]:
    limits = limits or TransportLimits()
    probe, metrics = Probe(), Metrics()
    endpoint = GraphQLEndpoint(EXECUTOR, authenticate, probe.context, limits, metrics=metrics, trusted=trusted)
    app = Starlette(routes=[Route("/graphql", endpoint), WebSocketRoute("/graphql", endpoint)])
    listener = listen("127.0.0.1", 0, user_timeout=user_timeout)
    server = DrainingServer(configure(app, limits, metrics.turned_away), endpoint.drain, grace_seconds)
    serving = asyncio.create_task(server.serve([listener]))
    try:
        yield Site(listener.getsockname()[1], probe, server, endpoint, metrics)
    finally:
        server.should_exit = True
        await serving


def codes(body: dict[str, Any]) -> list[str]:
    return [error["extensions"]["code"] for error in body["errors"]]
