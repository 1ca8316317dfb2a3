"""Delivers the simulator's reports: late, twice or out of order, if the settings say so."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from random import Random

from app.ports import Report

AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Delivery:
    report: Report
    heard: asyncio.Event


class Reporting:
    """Delivers every report at least once, to one listener."""

    def __init__(self, seed: int, delay: float, duplicate_rate: float) -> None:
        self._random = Random(seed)
        self._delay = delay
        self._duplicate_rate = duplicate_rate
        self._arrived: asyncio.Queue[Delivery] = asyncio.Queue()

    def tell(self, report: Report) -> asyncio.Event:
        """Send the report, and return an event that is set when the report has been heard for the first time."""
        delivery = Delivery(report, asyncio.Event())
        self._send(delivery)
        if self._random.random() < self._duplicate_rate:
            self._send(delivery)
        return delivery.heard

    def _send(self, delivery: Delivery) -> None:
        """Send the report after a random delay, so that one may overtake another."""
        if not self._delay:
            self._arrived.put_nowait(delivery)
            return
        late = self._random.uniform(0, self._delay)
        asyncio.get_running_loop().call_later(late, self._arrived.put_nowait, delivery)

    async def hear(self) -> AsyncIterator[Sequence[Report]]:
        while True:
            deliveries = [await self._arrived.get()]
            while self._arrived.qsize() and len(deliveries) < AT_ONCE:
                deliveries.append(self._arrived.get_nowait())
            try:
                yield [delivery.report for delivery in deliveries]
            except GeneratorExit:
                for delivery in deliveries:  # not acknowledged: the next listener gets them again
                    self._arrived.put_nowait(delivery)
                raise
            for delivery in deliveries:
                delivery.heard.set()
