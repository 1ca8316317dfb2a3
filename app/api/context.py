"""The context that resolvers get: the viewer, the services, and the loaders."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import strawberry

from app.api.loaders import Loaders
from app.api.metering.budget import Charge
from app.domain.viewer import Viewer
from app.ports import NOBODY, Broker, Clock, Observer, Simulation
from app.storage.database import Database
from app.transfers import Transfers

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Services:
    database: Database
    transfers: Transfers
    simulation: Simulation | None
    """None on a real telephone exchange."""
    broker: Broker
    clock: Clock
    sweep_seconds: float = 30
    """Seconds until a subscriber reads the log without a wake-up, so that a lost wake-up only delays."""
    observer: Observer = NOBODY


class Context:
    """The context of one operation."""

    def __init__(self, viewer: Viewer, request_id: str, services: Services) -> None:
        self.viewer = viewer
        self.request_id = request_id
        self.services = services
        self.charge: Charge | None = None
        """What the operation pays. The executor sets it."""
        self.renew()

    def renew(self) -> None:
        """Forget what the loaders have read, after a change and for each event of a subscription."""
        self.loaders = Loaders(self.services.database, self.viewer)

    async def count(self, question: Callable[[], Awaitable[T]], rows: Callable[[T], int]) -> T:
        """Run a count, and charge its rows: the list may be as long as the customer's whole history."""
        return await self.charge.count(question, rows) if self.charge else await question()


Info: TypeAlias = strawberry.Info[Context, None]
