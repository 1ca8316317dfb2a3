"""Carries out recorded orders: those of one transfer in strict order, those of several transfers in parallel."""

import asyncio
import logging
from collections.abc import Sequence

from structlog.contextvars import bind_contextvars
from tenacity import AsyncRetrying, retry_if_exception_type, wait_exponential_jitter

from app.calls import Calls
from app.domain.calls import Call, CallHangupReason, CallStatus
from app.domain.effects import Cause, Rules
from app.domain.life import advance
from app.domain.orders import Order, OrderKind
from app.domain.sightings import refused
from app.domain.steps import Trigger
from app.ports import (
    NOBODY,
    Broker,
    Clock,
    EngineUnavailable,
    Observer,
    OrderRefused,
    Telephony,
    wake_up_within,
)
from app.recording import Recording, Stale
from app.storage import orders, transfers
from app.storage.database import Database, DatabaseUnavailable
from app.storage.orders import RecordedOrder
from app.transfers import Transfers

log = logging.getLogger(__name__)

TRIES = 5
"""Most tries of an order that the engine refuses, when no trigger follows from the refusal."""
ORDER_SECONDS = 5.0
"""Seconds that the engine has to answer an order."""
SWEEP_SECONDS = 1.0
"""Seconds after which waiting orders are looked for without a wake-up, since one may be lost."""


class NotYet(Exception):
    """The engine refused the order, and it is tried again."""


class Dispatch:
    def __init__(
        self,
        database: Database,
        broker: Broker,
        telephony: Telephony,
        clock: Clock,
        transfers: Transfers,
        calls: Calls,
        rules: Rules,
        tries: int = TRIES,
        order_seconds: float = ORDER_SECONDS,
        backoff_seconds: float = 0.05,
        observer: Observer = NOBODY,
    ) -> None:
        self._database = database
        self._broker = broker
        self._telephony = telephony
        self._clock = clock
        self._transfers = transfers
        self._calls = calls
        self._rules = rules
        self._tries = tries
        self._order_seconds = order_seconds
        self._observer = observer
        self._retrying = AsyncRetrying(
            retry=retry_if_exception_type((EngineUnavailable, NotYet, DatabaseUnavailable, Stale)),
            wait=wait_exponential_jitter(multiplier=backoff_seconds, max=5, jitter=backoff_seconds),
        )
        self._busy: set[str] = set()

    async def run(self) -> None:
        self._busy.clear()  # a worker that was cancelled before its first step is still listed
        async with self._broker.listen("orders") as wake_up, asyncio.TaskGroup() as workers:
            while True:
                for transfer_id in await self._with_waiting():
                    if transfer_id not in self._busy:
                        self._busy.add(transfer_id)
                        workers.create_task(self._work(transfer_id))
                await wake_up_within(wake_up, SWEEP_SECONDS)

    async def _with_waiting(self) -> Sequence[str]:
        try:
            async with self._database.reading() as connection:
                return await orders.with_waiting(connection)
        except DatabaseUnavailable:
            return ()

    async def _work(self, transfer_id: str) -> None:
        bind_contextvars(transfer_id=transfer_id)  # for the log lines of this task
        try:
            await self.carry_out_all(transfer_id)
        except Exception:
            log.exception("orders stopped")
            self._observer.faulted()
            await asyncio.sleep(SWEEP_SECONDS)
        finally:
            self._busy.discard(transfer_id)
        await self._broker.wake("orders")  # an order may have been recorded just before this worker was removed

    async def carry_out_all(self, transfer_id: str) -> None:
        retrying = self._retrying.copy()
        while await retrying(self.carry_out_next, transfer_id):
            pass

    async def carry_out_next(self, transfer_id: str) -> bool:
        """Carry out the transfer's first waiting order, and return False when none waits.

        Raises EngineUnavailable, and NotYet when the engine refused the order and it is tried again.
        """
        async with self._database.reading() as connection:
            waiting = await orders.first_waiting(connection, transfer_id)
        if waiting is None:
            return False
        bind_contextvars(customer_id=waiting.customer_id)
        try:
            touched = await self._carry_out(waiting)
        except OrderRefused:
            await self._refused(waiting)
        else:
            await self._confirmed(waiting, touched)
        await self._broker.wake(f"orders:{transfer_id}")
        return True

    async def _carry_out(self, waiting: RecordedOrder) -> Sequence[Call]:
        with self._observer.carrying_out(self._telephony.name, waiting.order, waiting.transfer_id):
            try:
                async with asyncio.timeout(self._order_seconds):
                    return await self._telephony.carry_out(waiting.order, waiting.customer_id)
            except TimeoutError as error:
                raise EngineUnavailable("no answer in time") from error

    async def _confirmed(self, waiting: RecordedOrder, touched: Sequence[Call]) -> None:
        """Record the confirmation and the calls in one transaction: a reader never sees the next step without them."""
        async with self._transfers.recording() as recording:
            news = await self._calls.record(recording.connection, touched)
            if await orders.settle(recording.connection, waiting.id, orders.CONFIRMED):
                await self._hang_up_unjoined(recording, waiting, touched)
                await self._go_on(recording, waiting)
        await self._calls.tell(news)

    async def _hang_up_unjoined(self, recording: Recording, waiting: RecordedOrder, touched: Sequence[Call]) -> None:
        """Hang up a leg whose bridge has ended: its order to join counts as done, and it is up outside every bridge."""
        order = waiting.order
        if order.kind is not OrderKind.JOIN or not any(_is_left_outside(call, order) for call in touched):
            return
        t = await transfers.by_id(recording.connection, waiting.transfer_id)
        assert t is not None
        hang_up = Order(OrderKind.HANG_UP, call_id=order.call_id)
        await orders.add(recording.connection, t, [hang_up], orders.OF_NO_CHANGE)

    async def _go_on(self, recording: Recording, waiting: RecordedOrder) -> None:
        """Take the step that follows when no order of the transfer waits any more."""
        if not await orders.first_waiting(recording.connection, waiting.transfer_id):
            await self._advance(recording, waiting, Trigger.CONFIRMED, Cause(self._clock(), self._rules))

    async def _refused(self, waiting: RecordedOrder) -> None:
        give_up = waiting.tries + 1 >= self._tries
        async with self._transfers.recording() as recording:
            t = await transfers.by_id(recording.connection, waiting.transfer_id)
            assert t is not None
            joins = await orders.waits(recording.connection, t.id, kind=OrderKind.JOIN, call_id=waiting.order.call_id)
            follows = refused(t, waiting.order, waiting.version, give_up, has_joined=not joins)
            if not follows and not give_up:
                await orders.count_try(recording.connection, waiting.id)
            elif await orders.settle(recording.connection, waiting.id, orders.REFUSED):
                await self._after_refusal(recording, waiting, follows)
        if follows or give_up:
            self._observer.gave_up(self._telephony.name, waiting.order)
            # Leave out the engine's message: it may quote the dialled address.
            log.error(
                "ENGINE_ERROR: %s refused, and %s", waiting.order.kind, follows or "given up", extra=_ids(waiting)
            )
        else:
            raise NotYet

    async def _after_refusal(self, recording: Recording, waiting: RecordedOrder, follows: Trigger | None) -> None:
        if follows is None:
            await self._go_on(recording, waiting)
            return
        leg = waiting.order.call_id
        cause = Cause(self._clock(), self._rules, leg, CallStatus.HANGUP, CallHangupReason.FAILED, is_refused=True)
        await self._advance(recording, waiting, follows, cause)

    async def _advance(self, recording: Recording, waiting: RecordedOrder, trigger: Trigger, cause: Cause) -> None:
        t = await transfers.by_id(recording.connection, waiting.transfer_id)
        if t:
            await recording.add(advance(t, trigger, cause))


def _is_left_outside(call: Call, order: Order) -> bool:
    return call.id == order.call_id and call.is_up and call.confbridge_id is None


def _ids(waiting: RecordedOrder) -> dict[str, str]:
    return {"transfer_id": waiting.transfer_id, "customer_id": waiting.customer_id}
