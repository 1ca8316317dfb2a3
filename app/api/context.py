"""What resolvers are given: who asks, what may be used, and what has been read so far."""

from dataclasses import dataclass
from typing import TypeAlias

import strawberry

from app.api.loaders import Loaders
from app.domain.viewer import Viewer
from app.ports import NOBODY, Broker, Clock, Observer, Simulation
from app.storage.database import Database
from app.transfers import Transfers


@dataclass(frozen=True, slots=True)
class Services:
    database: Database
    transfers: Transfers
    simulation: Simulation | None
    """None on a real telephone exchange."""
    broker: Broker
    clock: Clock
    sweep_seconds: float = 30
    """After so long a subscriber looks for news unwoken: a wake-up that got lost delays, and does no more."""
    observer: Observer = NOBODY


class Context:
    """Of one operation."""

    def __init__(self, viewer: Viewer, request_id: str, services: Services) -> None:
        self.viewer = viewer
        self.request_id = request_id
        self.services = services
        self.counted = 0
        """Rows, for what `totalCount` and its like have cost."""
        self.renew()

    def renew(self) -> None:
        """Forget what was read: for after a change, and for each event of a subscription."""
        self.loaders = Loaders(self.services.database, self.viewer)


Info: TypeAlias = strawberry.Info[Context, None]
