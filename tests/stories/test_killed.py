"""A real process that is killed under load at random moments, and started again."""

import asyncio
import random
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from uuid import uuid4

import pytest

from app.storage.database import Database
from tests.following import CUT, Subscriber
from tests.invariants import World
from tests.serving import Client, Json, Served, free_port, serving, token
from tests.stories.desk import Desk

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

DIGITS = ("0100", "0101", "0102", "0104", "0105", "0106", "0103")


async def load(desk: Desk, dice: random.Random) -> None:
    """Act as an agent who takes calls and transfers them, even while the server is down."""
    while True:
        with suppress(*CUT):
            talk = await desk.talk(f"+1555{dice.randrange(10**7):07}")
            blind = dice.random() < 0.5
            t = await desk.start(talk, dice.choice(DIGITS), type="BLIND" if blind else "ATTENDED", ringTimeout=1)
            await asyncio.sleep(dice.random() * 0.2)
            if dice.random() < 0.3:
                await desk.simulate("Hangup", dice.choice([talk.agent, talk.caller]))
            else:
                await desk.tell(t, dice.choice(["complete", "cancel", "merge"]))
        await asyncio.sleep(0.01)


async def test_nothing_is_lost_by_a_kill(tmp_path: Path, soak: bool) -> None:
    dice, port, customer = random.Random(7), free_port(), str(uuid4())
    client = Client(f"http://127.0.0.1:{port}/graphql", token(customer))
    subscribers = [Subscriber(client) for _ in range(3)]
    tasks = [asyncio.create_task(subscriber.run()) for subscriber in subscribers]
    tasks += [asyncio.create_task(load(Desk(client), random.Random(n))) for n in range(4)]
    for _ in range(50 if soak else 4):
        async with _server(tmp_path, port) as served:
            await asyncio.sleep(dice.uniform(0.2, 2.0))
            await served.kill()
        await _check(served, at_rest=False)
    for task in tasks[len(subscribers) :]:
        task.cancel()
    async with _server(tmp_path, port) as served:
        story = await _whole_story(client)
        assert len(story) > 20
        await _all_heard(subscribers, story)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await _check(served, at_rest=True)


def _server(folder: Path, port: int) -> AbstractAsyncContextManager[Served]:
    return serving(folder, port=port, simulator_pace=20, recall_pause=0.1)


async def _whole_story(client: Client) -> list[tuple[str, int]]:
    """Return every event of the customer, once the only live transfers are those that wait for a person."""
    live = "{ transfers(filter: {statuses: [STARTING, RINGING, TRANSFERRING, RECALLING, ENDING]}) { totalCount } }"
    async with asyncio.timeout(60):
        async with client.follow("subscription { transferEvents { id } }") as events:
            while (await client.ask(live))["transfers"]["totalCount"]:
                await anext(events)
    story, after = [], None
    query = """query ($after: String) { transfers(order: ASC, first: 100, after: $after) {
        nodes { id version } pageInfo { hasNextPage endCursor }
    } }"""
    while True:
        page: Json = (await client.ask(query, after=after))["transfers"]
        story += [(node["id"], version + 1) for node in page["nodes"] for version in range(node["version"])]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            return story


async def _all_heard(subscribers: list[Subscriber], story: list[tuple[str, int]]) -> None:
    async with asyncio.timeout(30):
        for subscriber in subscribers:
            await subscriber.hears(len(story))
            assert sorted(subscriber.story) == sorted(story), "an event was missed, or came twice"
            assert len(set(subscriber.story)) == len(subscriber.story)


async def _check(served: Served, *, at_rest: bool) -> None:
    database = Database(served.database)
    try:
        world = await World.read(database)
    finally:
        await database.close()
    assert world.transfers
    world.check_at_rest() if at_rest else world.check()
