"""A listener to a telephony engine: what the rest of the house would know by now."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

from app.domain.calls import Call, Conference
from app.ports import Report, Telephony


class Listener:
    """Keeps every report, and of each call and bridge the newest by its revision."""

    def __init__(self, engine: Telephony) -> None:
        self._engine = engine
        self._came = asyncio.Condition()
        self.reports: list[Report] = []
        self.calls: dict[str, Call] = {}
        self.bridges: dict[str, Conference] = {}

    async def listen(self) -> None:
        async for reports in self._engine.reports():
            for report in reports:
                self._hear(report)
            async with self._came:
                self._came.notify_all()

    def _hear(self, report: Report) -> None:
        self.reports.append(report)
        if isinstance(report, Call):
            self.calls[report.id] = max(report, self.calls.get(report.id, report), key=lambda call: call.revision)
        if isinstance(report, Conference):
            newest = max(report, self.bridges.get(report.id, report), key=lambda bridge: bridge.revision)
            self.bridges[report.id] = newest

    async def until(self, test: Callable[[], bool]) -> None:
        async with asyncio.timeout(10), self._came:
            await self._came.wait_for(test)

    async def call(self, call_id: str, test: Callable[[Call], bool]) -> Call:
        """The call, once it is so."""
        await self.until(lambda: call_id in self.calls and test(self.calls[call_id]))
        return self.calls[call_id]

    def history(self, call_id: str) -> list[Call]:
        return [report for report in self.reports if isinstance(report, Call) and report.id == call_id]


@asynccontextmanager
async def listening(engine: Telephony) -> AsyncIterator[Listener]:
    listener = Listener(engine)
    async with in_background(listener.listen()):
        yield listener


@asynccontextmanager
async def in_background(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
