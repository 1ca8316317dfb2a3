"""A subscriber who follows all transfers and resumes after each lost connection."""

import asyncio
from contextlib import suppress

import httpx
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.serving import Client, Failed
from tests.stories.desk import Refused

CUT = (httpx.HTTPError, ConnectionClosed, InvalidHandshake, OSError, Failed, Refused, TimeoutError, AssertionError)
EVENTS = """
    subscription ($after: String) { transferEvents(after: $after) { cursor transferId version } }
"""
PAGE = "{ transfers(first: 1) { eventCursor } }"


class Subscriber:
    """Follows all events. After a lost connection, it resumes from its last cursor."""

    def __init__(self, client: Client) -> None:
        self.story: list[tuple[str, int]] = []
        """The transfer and version of each event."""
        self._client = client
        self._cursor: str | None = None
        self._grown = asyncio.Event()

    async def hears(self, count: int) -> None:
        """Wait for this number of events."""
        while len(self.story) < count:
            self._grown.clear()
            await self._grown.wait()

    async def run(self) -> None:
        while True:
            with suppress(*CUT):
                await self.follow()
            await asyncio.sleep(0.05)

    async def begin(self) -> None:
        """Take the present cursor: all later events will be followed."""
        self._cursor = (await self._client.ask(PAGE))["transfers"]["eventCursor"]

    async def follow(self) -> None:
        if self._cursor is None:
            await self.begin()
        async with self._client.follow(EVENTS, after=self._cursor) as events:
            async for event in events:
                one = event["transferEvents"]
                self._cursor = one["cursor"]
                self.story.append((one["transferId"], one["version"]))
                self._grown.set()
