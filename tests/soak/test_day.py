"""A long day: thousands of transfers and subscriptions, after which the server's resources are as before."""

import asyncio
import random
from collections import Counter, deque
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from app.storage.database import Database
from tests.following import CUT, Subscriber
from tests.invariants import World
from tests.serving import TLS, Client, Failed, Json, token
from tests.stories.desk import Desk, Refused, Talk
from tests.watching import Watched, watched

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

AGENTS, TALKS, SUBSCRIBERS = 4, 4, 5
"""Numbers of agents, of calls for each agent, and of subscribers."""
DIGITS = ("0100", "0101", "0102", "0104", "0105", "0106", "0107")
LIVE = "{ transfers(filter: {isLive: true}, first: 100) { totalCount nodes { id } } }"


class QuickClient(Client):
    """A client that keeps its HTTP connection open."""

    def __init__(self, url: str, bearer: str, http: httpx.AsyncClient) -> None:
        super().__init__(url, bearer)
        self._http = http

    async def ask(self, query: str, /, **variables: object) -> Json:
        answer = (await self.post(self._http, query, variables)).json()
        if answer.get("errors"):
            raise Failed(answer["errors"])
        return dict(answer["data"])


class Day:
    def __init__(self, server: Watched) -> None:
        self._url = f"{server.url}/graphql"
        self._customer = str(uuid4())
        self._manager = Client(self._url, self._token("manager"))
        self._subscribers = [Subscriber(Client(self._url, self._token(f"subscriber {n}"))) for n in range(SUBSCRIBERS)]
        self.seen = Counter[str]()

    def _token(self, subject: str) -> str:
        return token(self._customer, subject=subject)

    async def begin(self) -> None:
        for subscriber in self._subscribers:
            await subscriber.begin()

    async def work(self, seconds: float) -> None:
        """Run the load for this time. Then disconnect the subscribers, and end all live transfers."""
        async with httpx.AsyncClient(verify=TLS, timeout=30) as http, asyncio.TaskGroup() as tasks:
            desks = [Desk(QuickClient(self._url, self._token(f"agent {n}"), http)) for n in range(AGENTS)]
            restless = [self._follow(subscriber, random.Random(n)) for n, subscriber in enumerate(self._subscribers)]
            busy = [self._transfer(desk, random.Random(n)) for n, desk in enumerate(desks)]
            everybody = [tasks.create_task(work) for work in (*restless, *busy)]
            await asyncio.sleep(seconds)
            for one in everybody:
                one.cancel()
        await self._clear()

    async def _follow(self, subscriber: Subscriber, dice: random.Random) -> None:
        while True:
            with suppress(*CUT):
                async with asyncio.timeout(dice.uniform(0.1, 4)):
                    await subscriber.follow()
            self.seen["connections"] += 1

    async def _transfer(self, desk: Desk, dice: random.Random) -> None:
        talks = deque[Talk]()
        while True:
            talk = talks.popleft() if len(talks) == TALKS else await desk.talk(f"+1555{dice.randrange(10**7):07}")
            try:
                await self._hand_over(desk, talk, dice)
                talks.append(talk)
            except Refused as refused:
                self.seen[f"refused: {refused.code}"] += 1
                with suppress(Refused):  # the caller can have hung up already
                    await desk.simulate("Hangup", talk.caller)

    async def _hand_over(self, desk: Desk, talk: Talk, dice: random.Random) -> None:
        to = dice.choices(DIGITS, k=dice.choice((1, 1, 2)))
        t = await desk.start(talk, *to, type=dice.choice(("BLIND", "ATTENDED")), ringTimeout=1)
        self.seen["transfers"] += 1
        await asyncio.sleep(dice.random() * 0.1)
        if dice.random() < 0.1:
            await desk.simulate("Hangup", talk.agent)
        await desk.tell(t, dice.choice(("complete", "merge", "cancel", "cancel", "cancel")))

    async def _clear(self) -> None:
        """Wait until no transfer is live."""
        desk = Desk(self._manager)
        async with asyncio.timeout(60), self._manager.follow("subscription { transferEvents { id } }") as events:
            while live := (await self._manager.ask(LIVE))["transfers"]["nodes"]:
                for transfer in live:
                    with suppress(Refused):
                        await desk.tell(transfer, "cancel")
                await anext(events)

    async def check_stories(self, world: World) -> None:
        """Check that each subscriber has received every event, once and in order."""
        story = [(event["transfer_id"], event["version"]) for event in world.logs[self._customer]]
        self.seen["events"] = len(story)
        following = [asyncio.create_task(subscriber.run()) for subscriber in self._subscribers]
        async with asyncio.timeout(60):
            for subscriber in self._subscribers:
                await subscriber.hears(len(story))
                assert subscriber.story == story
        for task in following:
            task.cancel()
        await asyncio.wait(following)


async def test_a_long_day_leaves_nothing_behind(tmp_path: Path, soak: bool) -> None:
    seconds = 600 if soak else 2
    with watched(tmp_path, simulator_pace=50, recall_pause=0.05) as server:
        day = Day(server)
        await day.begin()
        await day.work(seconds / 4)  # fill the caches
        with server.kept():
            await day.work(seconds * 3 / 4)
            await day.check_stories(await _world(tmp_path))
        assert server.errors() == ""
    print(day.seen)
    (await _world(tmp_path)).check_at_rest()


async def _world(folder: Path) -> World:
    database = Database(f"sqlite+aiosqlite:///{folder / 'transfers.sqlite3'}")
    try:
        return await World.read(database)
    finally:
        await database.close()
