"""Others get their turn, however much of an operation could go on at once."""

import asyncio
from collections import deque

FREE = 2_000  # objects; they take some 50 ms, and hardly an operation has more
SOME = 500


class Turns:
    """Of one operation: those that wait for the same thing all wake when it is there, and go on some at a time.

    Between them the loop looks after everybody else. The first do not wait: what is read for them stays in few batches.
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
            await asyncio.shield(self._group)  # who is cancelled leaves the others waiting

    def _begin_group(self) -> None:
        loop = asyncio.get_running_loop()
        self._group, self._room = loop.create_future(), SOME
        self._waiting.append(self._group)
        if len(self._waiting) == 1:
            loop.call_soon(self._release)

    def _release(self) -> None:
        self._waiting[0].set_result(None)
        self._waiting.popleft()
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._release)
