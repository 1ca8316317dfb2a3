"""How the simulator's reports reach whoever hears them: late, twice or out of order, when it is told so."""

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
    """For one listener. Every report comes at least once."""

    def __init__(self, seed: int, delay: float, duplicate_rate: float) -> None:
        self._random = Random(seed)
        self._delay = delay
        self._duplicate_rate = duplicate_rate
        self._arrived: asyncio.Queue[Delivery] = asyncio.Queue()

    def tell(self, report: Report) -> asyncio.Event:
        """Set when the report has been heard for the first time."""
        delivery = Delivery(report, asyncio.Event())
        self._send(delivery)
        if self._random.random() < self._duplicate_rate:
            self._send(delivery)
        return delivery.heard

    def _send(self, delivery: Delivery) -> None:
        """Each is late by a time of its own, so that one may overtake another."""
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
                for delivery in deliveries:  # not heard to the end: for the next listener
                    self._arrived.put_nowait(delivery)
                raise
            for delivery in deliveries:
                delivery.heard.set()
