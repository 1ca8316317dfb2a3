"""What an operation takes from the budget of whoever asks for it."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from graphql import GraphQLError

from app.api.metering.limits import Budget, Principal, Sleep
from app.domain.viewer import Viewer

T = TypeVar("T")

ROWS = 70
"""Rows that are counted for a point. SQLite counts them in 0.06 to 0.12 ms, by status and reason as well."""
DEPOSITS = 50
"""Counts that a full budget can start and abandon."""


def principal_of(viewer: Viewer | None) -> Principal:
    return (viewer.customer_id, viewer.subject) if viewer else ("", "")


class Charge:
    """Taken from the budget of a principal, unless it has to wait for it; what is not used is given back."""

    def __init__(self, budget: Budget, principal: Principal, requested: int, sleep: Sleep = asyncio.sleep) -> None:
        self._budget = budget
        self._principal = principal
        self._sleep = sleep
        self.requested = requested
        self.actual = requested
        self.counted = 0
        self.wait = budget.take(principal, requested)
        if self.wait:
            self.actual = 0

    def settle(self, actual: int) -> None:
        """Never more than was asked for."""
        actual = min(actual, self.requested)
        self._budget.settle(self._principal, self.actual - actual)
        self.actual = actual

    async def count(self, question: Callable[[], Awaitable[T]], rows: Callable[[T], int]) -> T:
        """Ask the question, and charge the rows that its answer has counted. They may leave a debt.

        A principal counts one list at a time, and the next waits until a deposit can be paid: however many counts are
        asked for at once, at most one of them is beyond the budget. A client that leaves while the database still
        counts loses the deposit.
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
