"""The in-memory broker: wake-ups within one process."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager


class MemoryBroker:
    def __init__(self) -> None:
        self._listeners: dict[str, set[asyncio.Event]] = defaultdict(set)

    async def wake(self, *topics: str) -> None:
        for topic in topics:
            for listener in self._listeners.get(topic, ()):
                listener.set()

    @asynccontextmanager
    async def listen(self, *topics: str) -> AsyncIterator[Callable[[], Awaitable[None]]]:
        noted = asyncio.Event()

        async def next_wake_up() -> None:
            await noted.wait()
            noted.clear()

        for topic in topics:
            self._listeners[topic].add(noted)
        try:
            yield next_wake_up
        finally:
            for topic in topics:
                self._forget(topic, noted)

    def _forget(self, topic: str, listener: asyncio.Event) -> None:
        self._listeners[topic].discard(listener)
        if not self._listeners[topic]:
            del self._listeners[topic]
