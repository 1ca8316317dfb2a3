"""Fairness between operations on one event loop."""

import asyncio
from collections import deque

FREE = 2_000
"""Objects that an operation resolves without waiting. They take some 50 ms, and few operations have more."""
GROUP = 500
"""Objects that are resolved before the event loop runs other tasks."""


class Turns:
    """The resolvers of one operation that wait for the same batch load.

    After the load they would all resume at once and block the event loop. They resume in groups instead, so that other
    requests can run in between. The first `FREE` objects don't wait, so that what they load stays in few batches.
    """

    def __init__(self, free: int = FREE) -> None:
        self._room = free
        self._group: asyncio.Future[None] | None = None
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def next(self, objects: int = 1) -> None:
        if self._room <= 0:
            self._begin_group()
        self._room -= objects
        if self._group:
            await asyncio.shield(self._group)  # cancelling one resolver must not cancel the others of its group

    def _begin_group(self) -> None:
        loop = asyncio.get_running_loop()
        self._group, self._room = loop.create_future(), GROUP
        self._waiting.append(self._group)
        if len(self._waiting) == 1:
            loop.call_soon(self._release)

    def _release(self) -> None:
        self._waiting[0].set_result(None)
        self._waiting.popleft()
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._release)
