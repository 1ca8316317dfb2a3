"""The budget of each principal, and what an operation takes from it."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from weakref import WeakValueDictionary

from graphql import GraphQLError

from app.domain.viewer import Viewer

T = TypeVar("T")
Principal = tuple[str, str]
"""The customer and the subject of a token. Requests without a token share one principal."""
Sleep = Callable[[float], Awaitable[None]]

ROWS = 70
"""Rows that are counted for a point. SQLite counts them in 0.06 to 0.12 ms, by status and reason as well."""
DEPOSITS = 50
"""Counts that a full budget can start and abandon."""


def principal_of(viewer: Viewer | None) -> Principal:
    return (viewer.customer_id, viewer.subject) if viewer else ("", "")


@dataclass(slots=True)
class _Bucket:
    level: float
    at: float


class Budget:
    """A token bucket of points for each principal, refilled at a steady rate. N processes grant N times as many."""

    def __init__(self, capacity: int, restore_rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.capacity = capacity
        self._rate = restore_rate
        self._clock = clock
        self._buckets: dict[Principal, _Bucket] = {}
        self._payers: WeakValueDictionary[Principal, asyncio.Lock] = WeakValueDictionary()  # while somebody pays
        self._prune_at = 1_000

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, principal: Principal, points: int) -> float:
        """Take the points and return 0, or return the seconds to wait until they are there."""
        bucket = self._bucket(principal)
        if bucket.level < points:
            return (points - bucket.level) / self._rate
        bucket.level -= points
        return 0.0

    async def pay(self, principal: Principal, points: int, sleep: Sleep) -> None:
        """Pay the points as they come back, in parts: a large price might never be there at once.

        The payers of a principal wait in turn. Otherwise all would wake for points that suffice for one.
        """
        async with self.turn(principal):
            await self.pay_in_turn(principal, points, sleep)

    def turn(self, principal: Principal) -> asyncio.Lock:
        """Return the lock that one payer of the principal holds at a time."""
        return self._payers.setdefault(principal, asyncio.Lock())

    async def pay_in_turn(self, principal: Principal, points: int, sleep: Sleep) -> None:
        """Pay as `pay` does. The caller holds the turn of the principal."""
        while points := points - self._draw(principal, points):
            debt = max(0.0, -self._bucket(principal).level)
            await sleep((points + debt) / self._rate)

    def _draw(self, principal: Principal, points: int) -> int:
        """Take at most so many points, and return how many were there."""
        drawn = max(0, min(points, math.floor(self._bucket(principal).level)))
        self._bucket(principal).level -= drawn
        return drawn

    def settle(self, principal: Principal, points: int) -> None:
        """Give points back, or take them if negative. A principal in debt waits until it is paid off."""
        bucket = self._bucket(principal)
        bucket.level = min(self.capacity, bucket.level + points)

    def remaining(self, principal: Principal) -> int:
        return max(0, math.floor(self._bucket(principal).level))

    def full_in(self, principal: Principal) -> float:
        """Seconds until the bucket is full again."""
        return (self.capacity - self._bucket(principal).level) / self._rate

    def _bucket(self, principal: Principal) -> _Bucket:
        now = self._clock()
        bucket = self._buckets.get(principal)
        if bucket is None:
            self._make_room(now)
            bucket = self._buckets[principal] = _Bucket(self.capacity, now)
        bucket.level, bucket.at = self._level(bucket, now), now
        return bucket

    def _level(self, bucket: _Bucket, now: float) -> float:
        return min(self.capacity, bucket.level + (now - bucket.at) * self._rate)

    def _make_room(self, now: float) -> None:
        """Forget full buckets, since a new bucket is full. Do it when their number has doubled, so that it is cheap."""
        if len(self._buckets) < self._prune_at:
            return
        self._buckets = {who: it for who, it in self._buckets.items() if self._level(it, now) < self.capacity}
        self._prune_at = max(1_000, 2 * len(self._buckets))


class Charge:
    """The points that an operation takes from its principal's budget. What it does not use is given back.

    `wait` is 0, or the seconds until the budget suffices: then nothing has been taken.
    """

    def __init__(
        self, budget: Budget, principal: Principal, requested: int, inputs: int = 0, sleep: Sleep = asyncio.sleep
    ) -> None:
        self._budget = budget
        self._principal = principal
        self._sleep = sleep
        self.requested = requested
        self.inputs = inputs
        """The part of `requested` that is for what the operation hands in: it is not given back."""
        self.actual = requested
        self.counted = 0
        self.wait = budget.take(principal, requested)
        if self.wait:
            self.actual = 0

    def settle(self, actual: int) -> None:
        """Give back what the result did not cost. A result never costs more than was requested."""
        actual = min(actual, self.requested)
        self._budget.settle(self._principal, self.actual - actual)
        self.actual = actual

    async def count(self, question: Callable[[], Awaitable[T]], rows: Callable[[T], int]) -> T:
        """Run a count, and charge the rows that it has counted. They may leave a debt.

        A principal runs one count at a time, and each pays a deposit first. So at most one count goes beyond the
        budget, however many are requested at once. A client that leaves during a count loses the deposit.
        """
        deposit = self._budget.capacity // DEPOSITS
        async with self._budget.turn(self._principal):
            await self._budget.pay_in_turn(self._principal, deposit, self._sleep)
            found = await question()
            points = rows(found) // ROWS
            self._budget.settle(self._principal, deposit - points)
        self.counted += points
        return found

    def report(self) -> dict[str, int | str]:
        full = datetime.now(UTC) + timedelta(seconds=self._budget.full_in(self._principal))
        return {
            "requested": self.requested,
            "actual": self.actual + self.counted,
            "remaining": self._budget.remaining(self._principal),
            "resetAt": full.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        }

    def refusal(self) -> GraphQLError:
        cost = self.report()
        left = f"{self.requested} points, and {cost['remaining']} are left"
        message = f"The operation may cost {left}; try again in {self.wait:.3f} s."
        return GraphQLError(message, extensions={"code": "THROTTLED", "retryAfter": self.wait, "cost": cost})
