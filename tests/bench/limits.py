"""The CPU time of hostile documents, here and with Strawberry alone: python -m tests.bench.limits.

Both serve the same small schema in this process. The times include the client's millisecond; each is the best of three.
"""

import asyncio
import logging
import time
from dataclasses import dataclass

import httpx
import strawberry
from starlette.types import ASGIApp
from strawberry.asgi import GraphQL

from app.api.execution.executor import Executor
from app.api.fields import resolved
from app.api.metering.budget import Budget, Charge
from app.api.metering.limits import Limits
from app.api.metering.price import ListSize
from app.api.schema import Schema
from app.domain.viewer import Viewer
from app.server.protocol.endpoint import GraphQLEndpoint
from tests.bench.table import ms, show
from tests.server.toy import TOKENS, authorization

TIMES = 3


@strawberry.type
class Node:
    id: strawberry.ID = strawberry.ID("1")

    @strawberry.field
    def next(self) -> "Node":
        return self

    @resolved("Some of them.", {"list_size": ListSize(slicing_arguments=("first",))})
    def nodes(self, first: int) -> list["Node"]:
        return [self] * first


@strawberry.type
class Query:
    @strawberry.field
    def node(self) -> Node:
        return Node()


@dataclass
class Asked:
    """The context of the resolvers."""

    viewer: Viewer
    request_id: str
    charge: Charge | None = None


def here() -> ASGIApp:
    """Return our endpoint, with authentication, limits and log."""
    limits = Limits()
    executor = Executor(Schema(Query), limits, Budget(limits.budget, limits.budget_rate))
    return GraphQLEndpoint(executor, TOKENS.viewer, Asked)


def fan_out(width: int, levels: int) -> str:
    """Return a document whose fragments expand to width ** levels objects."""
    spread = [" ".join(f"a{w}:next{{...F{n + 1}}}" for w in range(width)) for n in range(levels)]
    fragments = "".join(f"fragment F{n} on Node{{{inner}}}" for n, inner in enumerate(spread))
    return f"{{node{{...F0}}}}{fragments}fragment F{levels} on Node{{id}}"


def listed(levels: int) -> str:
    return "{node{" + "nodes(first:10){" * levels + "id" + "}" * levels + "}}"


def nested(levels: int) -> str:
    return "{node{" + "next{" * levels + "id" + "}" * levels + "}}"


def introspected(levels: int) -> str:
    return "{__schema{types{" + "fields{type{" * levels + "name" + "}}" * levels + "}}}"


DOCUMENTS = {
    "An honest query": "{node{next{id}}}",
    "Fragments that fan out to 2^18 (bare: 2^12)": fan_out(2, 18),
    "Fragments that fan out to 16^6 (bare: 16^3)": fan_out(16, 6),
    "Lists of 10 in lists, 5 levels": listed(5),
    "10,000 aliases": "{" + " ".join(f"a{n}:node{{id}}" for n in range(10_000)) + "}",
    "300 aliases": "{" + " ".join(f"a{n}:node{{id}}" for n in range(300)) + "}",
    "5,000 directives": "{node" + "@a" * 5_000 + "{id}}",
    "One field 6,000 times": "{node{" + "id " * 6_000 + "}}",
    "180 levels": nested(180),
    "Introspection, 6 levels": introspected(6),
    "20,000 comments": "#\n" * 20_000 + "{node{id}}",
}
LESS = {
    "Fragments that fan out to 2^18 (bare: 2^12)": fan_out(2, 12),
    "Fragments that fan out to 16^6 (bare: 16^3)": fan_out(16, 3),
}
"""Smaller documents for Strawberry alone, which would not finish the others."""


async def taken(app: ASGIApp, query: str) -> tuple[float, str]:
    """Return the CPU seconds of a query, and its outcome."""
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://bench", headers=authorization()) as client:
        best = float("inf")
        for _ in range(TIMES):
            began = time.process_time()
            answer = await client.post("/graphql", json={"query": query})
            best = min(best, time.process_time() - began)
    return best, outcome(answer)


def outcome(answer: httpx.Response) -> str:
    errors = answer.json().get("errors", [])
    codes = [error.get("extensions", {}).get("code") or "an error without a code" for error in errors]
    return f"`{codes[0]}`" if codes and codes[0].isupper() else codes[0] if codes else "runs"


async def main() -> None:
    logging.disable()  # Strawberry alone logs each error of a client with a stack trace
    ours, bare = here(), GraphQL[object, None](strawberry.Schema(Query))
    rows = []
    for name, query in DOCUMENTS.items():
        mine, code = await taken(ours, query)
        theirs, other = await taken(bare, LESS.get(name, query))
        rows.append((name, f"{len(query):,}", ms(mine), code, ms(theirs), other, f"{theirs / mine:,.0f}"))
    show(("attack", "bytes", "here", "answer", "bare library", "answer", "bare / here"), rows)


if __name__ == "__main__":
    asyncio.run(main())
