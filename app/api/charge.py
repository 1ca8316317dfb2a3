"""What an operation takes from the budget of whoever asks for it."""

from datetime import UTC, datetime, timedelta

from graphql import GraphQLError

from app.api.limits import Budget, Principal
from app.domain.viewer import Viewer


def principal_of(viewer: Viewer | None) -> Principal:
    return (viewer.customer_id, viewer.subject) if viewer else ("", "")


class Charge:
    """Taken from the budget of a principal, unless it has to wait for it; what is not used is given back."""

    def __init__(self, budget: Budget, principal: Principal, requested: int) -> None:
        self._budget = budget
        self._principal = principal
        self.requested = requested
        self.actual = requested
        self.wait = budget.take(principal, requested)
        if self.wait:
            self.actual = 0

    def settle(self, actual: int) -> None:
        """Never more than was asked for."""
        actual = min(actual, self.requested)
        self._budget.settle(self._principal, self.actual - actual)
        self.actual = actual

    def report(self) -> dict[str, int | str]:
        full = datetime.now(UTC) + timedelta(seconds=self._budget.full_in(self._principal))
        return {
            "requested": self.requested,
            "actual": self.actual,
            "remaining": self._budget.remaining(self._principal),
            "resetAt": full.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        }

    def refusal(self) -> GraphQLError:
        cost = self.report()
        left = f"{self.requested} points, and {cost['remaining']} are left"
        message = f"The operation may cost {left}; try again in {self.wait:.3f} s."
        return GraphQLError(message, extensions={"code": "THROTTLED", "retryAfter": self.wait, "cost": cost})
