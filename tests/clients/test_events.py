"""The recipes' subscriptions: events over connections that are cut, and refusals."""

import asyncio
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest

from tests.clients.recipes.follow import transfer_events
from tests.clients.running import SECONDS, Program, Run
from tests.serving import Client, Json, Served, token
from tests.stories.desk import Desk
from tests.wire import Wire

pytestmark = pytest.mark.slow

WAYS = ("sockets", "streams", "python")
CURSOR = "{ transfers(first: 0) { eventCursor } }"
SHORT = 5
"""Seconds that a token lives: long enough for a program to start and sign in."""
EVENTS = "{ transfers(first: 1) { nodes { events(first: 100) { nodes { cursor } } } } }"


@pytest.mark.parametrize("way", WAYS)
async def test_a_follower_misses_nothing_and_hears_nothing_twice(
    run: Run, demo: Served, client: Client, way: str
) -> None:
    after = (await client.ask(CURSOR))["transfers"]["eventCursor"]
    wire = Wire(int(demo.url.rsplit(":", 1)[1]))
    async with wire.laid() as port:
        follower = await follow(run, way, f"http://127.0.0.1:{port}/graphql", client.token, after)
        heard = await _heard_over_cuts(follower, Desk(client), wire)
    (ended,) = (await client.ask(EVENTS))["transfers"]["nodes"]
    assert [event["cursor"] for event in heard] == [event["cursor"] for event in ended["events"]["nodes"]]


async def _heard_over_cuts(follower: Program, desk: Desk, wire: Wire) -> list[Json]:
    """Return the events of one transfer, from start to end. The connection is cut at every other step."""
    transfer = await desk.start(await desk.talk(), "0101")
    heard: list[Json] = []
    while not heard or heard[-1]["status"] != "COMPLETED":
        heard.append(await follower.said())
        if len(heard) % 2:
            wire.cut()
        if heard[-1]["kind"] == "STATUS" and heard[-1]["status"] == "CONSULTING":
            await desk.tell(transfer, "complete")
    return heard


async def test_followers_whose_token_expires_sign_in_with_a_fresh_one(run: Run, demo: Served) -> None:
    customer = str(uuid.uuid4())
    client, short = demo.client(customer), token(customer, ttl=SHORT)
    after = (await client.ask(CURSOR))["transfers"]["eventCursor"]
    followers = [await follow(run, way, client.url, short, after, client.token) for way in ("sockets", "streams")]
    async with in_python(client, short, after) as (signed_in_again, first):
        assert [await follower.said() for follower in followers] == [{"signedIn": "again"}] * 2
        await signed_in_again.wait()
        await Desk(client).start(await Desk(client).talk(), "0107")
        heard = [await first, *[await follower.said() for follower in followers]]
    assert [event["kind"] for event in heard] == ["STARTED"] * 3


@asynccontextmanager
async def in_python(client: Client, short: str, after: str) -> AsyncIterator[tuple[asyncio.Event, asyncio.Task[Json]]]:
    """Start a follower that signs in with a short-lived token, and then with a fresh one. Yield its first event."""
    again, tokens = asyncio.Event(), iter([short])

    def sign_in() -> str:
        if (present := next(tokens, client.token)) == client.token:
            again.set()
        return present

    url = client.url.replace("http", "ws")
    async with aclosing(transfer_events(url, sign_in, after)) as events, asyncio.TaskGroup() as tasks:
        yield again, tasks.create_task(anext(events))


@pytest.mark.parametrize("way", WAYS)
async def test_a_follower_with_a_bad_token_gives_up(run: Run, client: Client, way: str) -> None:
    await _gives_up(await follow(run, way, client.url, "no token", ""))


@pytest.mark.parametrize("way", WAYS)
async def test_a_follower_with_a_bad_cursor_gives_up(run: Run, client: Client, way: str) -> None:
    assert b"CURSOR_INVALID" in await _gives_up(await follow(run, way, client.url, client.token, "no cursor"))


async def _gives_up(follower: Program) -> bytes:
    """Return the lines that the follower prints before it ends by itself."""
    async with asyncio.timeout(SECONDS):
        said, complaint = await follower.process.communicate()
    return said + complaint


async def follow(run: Run, way: str, url: str, bearer: str, after: str, *fresh: str) -> Program:
    """Start a follower. A fresh token is for its second connection."""
    if way == "python":
        return await run(sys.executable, "-W", "error", "recipes/follow.py", url.replace("http", "ws"), bearer, after)
    return await run.node("runs/follow.ts", url, bearer, way, after, *fresh)
