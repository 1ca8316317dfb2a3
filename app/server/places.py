"""How many connections one holder may keep open."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class Crowded(Exception):
    """The holder has as many as he may have."""


class Places:
    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken: Counter[str] = Counter()

    def __len__(self) -> int:
        return self._taken.total()

    @contextmanager
    def one(self, holder: str) -> Iterator[None]:
        """Raises Crowded."""
        if self._taken[holder] >= self._limit:
            raise Crowded
        self._taken[holder] += 1
        try:
            yield
        finally:
            self._leave(holder)

    def _leave(self, holder: str) -> None:
        self._taken[holder] -= 1
        if not self._taken[holder]:
            del self._taken[holder]
