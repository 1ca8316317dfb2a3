"""Reconciles every live transfer with the engine and the clock: at the start, after an outage, and continuously."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from itertools import chain
from time import monotonic

from structlog.contextvars import bind_contextvars, unbind_contextvars
from tenacity import AsyncRetrying, retry_if_exception_type, wait_exponential_jitter

from app.calls import Calls
from app.dispatch import Dispatch
from app.domain.calls import Call, Conference
from app.domain.pieces import pieces
from app.domain.transfer import Transfer
from app.ports import (
    NOBODY,
    Broker,
    Clock,
    EngineUnavailable,
    Observer,
    Report,
    Telephony,
    wake_up_within,
)
from app.storage import transfers as stored
from app.storage.database import Database, DatabaseUnavailable
from app.transfers import Transfers

log = logging.getLogger(__name__)

SWEEP_SECONDS = 1.0
AT_ONCE = 500
"""Most ids in one statement, since a database limits the number of values."""
HEAR_SECONDS = 1.0
"""Seconds that the engine has to report before due timers fire."""
FAULT_SECONDS = 10.0
"""Seconds until a transfer that failed because of a bug is tried again."""


class Recovery:
    def __init__(
        self,
        database: Database,
        broker: Broker,
        telephony: Telephony,
        clock: Clock,
        transfers: Transfers,
        calls: Calls,
        dispatch: Dispatch,
        observer: Observer = NOBODY,
    ) -> None:
        self._database = database
        self._broker = broker
        self._telephony = telephony
        self._clock = clock
        self._transfers = transfers
        self._timers = transfers.timers
        self._calls = calls
        self._dispatch = dispatch
        self._observer = observer
        self._retrying = AsyncRetrying(
            retry=retry_if_exception_type((EngineUnavailable, DatabaseUnavailable)),
            wait=wait_exponential_jitter(multiplier=0.05, max=2, jitter=0.05),
        )
        self._faulty: dict[str, float] = {}
        self.caught_up = asyncio.Event()
        """Set while `run` runs and has reconciled every live transfer with a snapshot of the engine."""

    async def run(self) -> None:
        """Follow the engine and the clock until cancelled. Reports of the engine come before timers."""
        bind_contextvars(engine=self._telephony.name)  # for the log lines of this task and the tasks that it starts
        await self._retrying.copy()(self.catch_up)
        self.caught_up.set()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._follow())
                tasks.create_task(self._keep_time())
                tasks.create_task(self._sweep())
                tasks.create_task(self._dispatch.run())
        finally:
            self.caught_up.clear()

    async def catch_up(self) -> None:
        """Ask the engine for a snapshot, and take the steps that follow for every live transfer."""
        calls, bridges = await self._calls.live()
        async with self._database.reading() as connection:
            parties = await stored.live_party_ids(connection)  # a leg may have ended before its first report
        asked = {call.id for call in calls}.union(parties)
        told = await self._telephony.snapshot(asked, [bridge.id for bridge in bridges])
        await self._calls.hear(*told)
        await self._calls.miss([*calls, *bridges], {one.id for one in told})
        async with self._database.reading() as connection:
            live = await stored.live_ids(connection)
            running = await stored.deadlines(connection)
        self._timers.take_over(running, self._clock())
        await self._each(self._transfers.look, [*live, *await self._astray(told)])

    # --- the engine's reports

    async def _follow(self) -> None:
        async for reports in self._telephony.reports():
            await self._careful(self.hear, *reports)

    async def hear(self, *reports: Report) -> None:
        """Record a batch of reports, and then take the steps that follow from the final state."""
        calls = [one for one in reports if isinstance(one, Call)]
        bridges = [one for one in reports if isinstance(one, Conference)]
        if calls or bridges:
            await self._hear_parties(calls, bridges)
        if len(calls) + len(bridges) < len(reports):  # the others are Reconnected or EngineRestarted
            await self.catch_up()

    async def _hear_parties(self, calls: Sequence[Call], bridges: Sequence[Conference]) -> None:
        left = await self._left([bridge for bridge in bridges if not bridge.is_up])
        await self._calls.hear(*calls, *left, *bridges)
        await self._each(self._transfers.look, await self._concerned(calls, bridges))

    async def _left(self, gone: Sequence[Conference]) -> list[Call]:
        """Return the calls of these bridges as they are now, since a party may have left before its bridge ended."""
        if not (lost := await self._of_bridges(gone)):
            return []
        told = await self._telephony.look_up(list(chain.from_iterable(t.party_ids for t in lost)))
        return [one for one in told if isinstance(one, Call)]

    async def _concerned(self, calls: Sequence[Call], bridges: Sequence[Conference]) -> dict[str, None]:
        of_bridges = [t.id for t in await self._of_bridges(bridges)]
        async with self._database.reading() as connection:
            of_calls = {call.id: await stored.live_ids_of_call(connection, call) for call in calls}
        astray = await self._astray([call for call in calls if not of_calls[call.id]])
        return dict.fromkeys(chain(*of_calls.values(), of_bridges, astray))

    async def _astray(self, told: Sequence[Report]) -> list[str]:
        """Return the ended transfers of calls that are up outside every bridge: each may be a stray leg."""
        outside = [one.id for one in told if isinstance(one, Call) and one.is_up and one.confbridge_id is None]
        if not outside:
            return []
        async with self._database.reading() as connection:
            found = [await stored.ended_ids_of_calls(connection, ids) for ids in pieces(outside, AT_ONCE)]
        return list(chain(*found))

    async def _of_bridges(self, bridges: Sequence[Conference]) -> list[Transfer]:
        if not bridges:
            return []
        async with self._database.reading() as connection:
            found = [await stored.live_of_bridge(connection, one.customer_id, one.id) for one in bridges]
        return [t for t in found if t]

    # --- the clock

    async def _keep_time(self) -> None:
        async with self._broker.listen("timers") as wake_up:
            while True:
                await self._careful(self.expire_due)
                await wake_up_within(wake_up, min(self._timers.seconds_left(), SWEEP_SECONDS))

    async def expire_due(self) -> None:
        """Let due timers fire, after the engine's reports have been recorded."""
        due = self._timers.due()
        await self._hear_first([alarm.transfer_id for alarm in due])
        for alarm in due:
            await self._each(partial(self._transfers.expire, deadline=alarm.deadline), [alarm.transfer_id])
            self._timers.drop(alarm)

    async def _hear_first(self, transfer_ids: Sequence[str]) -> None:
        """Ask the engine before timers fire, unless it is down: an answer in time wins, even if its report is late."""
        if not transfer_ids or not self._telephony.is_up():
            return
        async with self._database.reading() as connection:
            parties = [await stored.party_ids(connection, ids) for ids in pieces(transfer_ids, AT_ONCE)]
        with suppress(EngineUnavailable, TimeoutError):
            async with asyncio.timeout(HEAR_SECONDS):
                told = await self._telephony.look_up(list(chain(*parties)))
            await self._calls.hear(*told)
        await self._each(self._transfers.look, transfer_ids)

    async def _sweep(self) -> None:
        """Once a second, take over timers that no process runs, and try failed transfers again."""
        while True:
            await self._careful(self._take_over_overdue)
            await self._careful(self._try_again)
            await asyncio.sleep(SWEEP_SECONDS)

    async def _take_over_overdue(self) -> None:
        now = self._clock()
        async with self._database.reading() as connection:
            overdue = await stored.deadlines(connection, until=now - timedelta(seconds=SWEEP_SECONDS))
        self._timers.take_over(overdue, now)

    # --- faults

    async def _each(self, work: Callable[[str], Awaitable[None]], transfer_ids: Iterable[str]) -> None:
        """Do the work for each transfer. A bug that one transfer meets must not stop the others."""
        for transfer_id in transfer_ids:
            if transfer_id in self._faulty:
                continue
            try:
                await work(transfer_id)
            except (DatabaseUnavailable, EngineUnavailable):
                raise
            except Exception:
                log.exception("out of step")
                self._observer.faulted()
                self._faulty[transfer_id] = monotonic() + FAULT_SECONDS

    async def _try_again(self) -> None:
        rested = [transfer_id for transfer_id, until in self._faulty.items() if until <= monotonic()]
        for transfer_id in rested:
            del self._faulty[transfer_id]
        await self._each(self._transfers.look, rested)

    async def _careful(self, work: Callable[..., Awaitable[None]], *about: Report) -> None:
        """Retry the work while the database or the engine is down. A bug in one report must not stop the others."""
        # These are the ids of the previous work. The next work binds its own.
        unbind_contextvars("transfer_id", "customer_id")
        try:
            await self._retrying.copy()(work, *about)
        except Exception:
            log.exception("out of step")
            self._observer.faulted()
            for one in about if len(about) > 1 else ():
                await self._careful(work, one)
