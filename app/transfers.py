"""The use cases of a transfer: each one reads, decides, records in one transaction, and then tells subscribers."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from time import perf_counter
from typing import Any, TypeVar

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection
from structlog.contextvars import bind_contextvars, unbind_contextvars
from tenacity import retry, retry_if_exception_type, stop_after_attempt

from app.domain.calls import Call
from app.domain.effects import Cause, Rules
from app.domain.life import Change, advance, is_done, knows
from app.domain.orders import Order, OrderKind
from app.domain.refusals import Refusal, RefusalCode
from app.domain.sightings import Sighting, sightings, strays, timed_out
from app.domain.start import StartRequest, begin, check_call, check_same_party, has_started, normalised
from app.domain.steps import Trigger
from app.domain.text import is_id, is_storable
from app.domain.transfer import SpeakingTo, Transfer
from app.domain.viewer import Permission, Viewer
from app.ports import NOBODY, Broker, Clock, Observer
from app.recording import Recording, Stale
from app.storage import calls, conferences, orders, transfers
from app.storage.database import Database
from app.timers import Timers

log = logging.getLogger(__name__)

T = TypeVar("T")

SWAPS = {SpeakingTo.HELD: Trigger.SWAP_TO_HELD, SpeakingTo.DESTINATION: Trigger.SWAP_TO_DESTINATION}
START_SECONDS = 1.0
"""Most seconds that a start waits for its bridge to be kept alive before it answers."""
SETTLE_SECONDS = 5.0
"""Most seconds that a swap or merge waits for the engine before it answers with the recorded state."""


# Each attempt that fails lets another writer through. Ten failures in a row are a bug and no longer a race.
again_when_stale = retry(retry=retry_if_exception_type(Stale), stop=stop_after_attempt(10), reraise=True)


class Transfers:
    def __init__(
        self,
        database: Database,
        broker: Broker,
        clock: Clock,
        new_id: Callable[[], str],
        engine_is_up: Callable[[], bool],
        rules: Rules,
        timers: Timers,
        observer: Observer = NOBODY,
        start_seconds: float = START_SECONDS,
    ) -> None:
        self._database = database
        self._broker = broker
        self._clock = clock
        self._new_id = new_id
        self._engine_is_up = engine_is_up
        self._rules = rules
        self._observer = observer
        self._start_seconds = start_seconds
        self.timers = timers
        self._commands: set[asyncio.Task[Any]] = set()

    # --- commands

    async def start(self, viewer: Viewer, request: StartRequest) -> Transfer:
        viewer.require(Permission.TRANSFERS_WRITE)
        started = await self._finish(self._start(viewer, request))
        bind_contextvars(transfer_id=started.id)
        # Until its bridge is kept alive, a transferer who hangs up would also end the held party's call.
        await self._until_carried_out(started, self._start_seconds, kind=OrderKind.KEEP_ALIVE)
        return started

    async def complete(self, viewer: Viewer, transfer_id: str) -> Transfer:
        return await self._command(viewer, transfer_id, Trigger.COMPLETE)

    async def cancel(self, viewer: Viewer, transfer_id: str) -> Transfer:
        return await self._command(viewer, transfer_id, Trigger.CANCEL)

    async def swap(self, viewer: Viewer, transfer_id: str, side: SpeakingTo) -> Transfer:
        return await self._command(viewer, transfer_id, SWAPS[side], settled=True)

    async def merge(self, viewer: Viewer, transfer_id: str) -> Transfer:
        return await self._command(viewer, transfer_id, Trigger.MERGE, settled=True)

    async def update(self, viewer: Viewer, transfer_id: str, edits: Mapping[str, object]) -> Transfer:
        return await self._command(viewer, transfer_id, Trigger.UPDATE, edits=edits)

    async def delete(self, viewer: Viewer, transfer_id: str) -> Transfer:
        return await self._command(viewer, transfer_id, Trigger.DELETE)

    async def _command(
        self,
        viewer: Viewer,
        transfer_id: str,
        trigger: Trigger,
        edits: Mapping[str, object] | None = None,
        settled: bool = False,
    ) -> Transfer:
        viewer.require(Permission.TRANSFERS_WRITE)
        try:
            done, changes = await self._finish(self._decide_command(viewer, transfer_id, trigger, edits or {}))
        except Refusal as refusal:
            if refusal.code is not RefusalCode.NOT_FOUND:  # the client may have made up an unknown id
                bind_contextvars(transfer_id=transfer_id)
            raise
        bind_contextvars(transfer_id=done.id)
        return await self._settled(viewer, done) if settled and changes else done

    @again_when_stale
    async def _decide_command(
        self, viewer: Viewer, transfer_id: str, trigger: Trigger, edits: Mapping[str, object]
    ) -> tuple[Transfer, Sequence[Change]]:
        async with self.recording(viewer.customer_id) as recording:
            t = await self._of_customer(recording.connection, viewer, transfer_id)
            cause = Cause(self._clock(), self._rules, subject=viewer.subject, edits=edits)
            changes = advance(t, trigger, cause)
            await recording.add(changes)
        return (changes[-1].after if changes else t), changes

    async def _of_customer(self, connection: AsyncConnection, viewer: Viewer, transfer_id: str) -> Transfer:
        found = await transfers.by_ids(connection, viewer.customer_id, [transfer_id]) if is_id(transfer_id) else {}
        if transfer_id not in found:
            raise Refusal(RefusalCode.NOT_FOUND, "No such transfer.", "input", "transferId")
        return found[transfer_id]

    # --- start

    @again_when_stale
    async def _start(self, viewer: Viewer, request: StartRequest) -> Transfer:
        if request.idempotency_key is None:  # a key is looked up before the input is checked
            request = normalised(request)
        try:
            async with self.recording(viewer.customer_id) as recording:
                repeated = await self._repeated(recording.connection, viewer, request)
                if repeated:
                    return repeated
                change = await self._begin(recording.connection, viewer, request)
                await recording.add([change])
        except IntegrityError as error:  # another start has inserted its transfer after our checks
            raise Stale from error
        return change.after

    async def _repeated(self, connection: AsyncConnection, viewer: Viewer, request: StartRequest) -> Transfer | None:
        """Return the transfer that this start has already started. Raises Refusal if the key has another input."""
        if request.idempotency_key is None or not is_storable(request.idempotency_key):
            return None
        started = await transfers.by_idempotency_key(connection, viewer.customer_id, request.idempotency_key)
        if started and not has_started(started, request):
            raise Refusal(
                RefusalCode.IDEMPOTENCY_CONFLICT,
                "This idempotency key has started a transfer with another input.",
                "input",
                "idempotencyKey",
                transfer_id=started.id,
            )
        return started

    async def _begin(self, connection: AsyncConnection, viewer: Viewer, request: StartRequest) -> Change:
        request = normalised(request)
        known = await self._call(connection, viewer, request.transferer_call_id)
        others = await calls.others_in_bridge(connection, known) if known else []
        call = check_call(known, others)
        await self._check_no_other(connection, call)
        check_same_party(request.transferee_addresses, [call, *others])
        if not self._engine_is_up():
            raise Refusal(RefusalCode.ENGINE_UNAVAILABLE, "The telephony engine is down.", retryable=True)
        return begin(
            request,
            transfer_id=self._new_id(),
            call=call,
            others=others,
            previous_transfer_id=await transfers.latest_that_brought(connection, viewer.customer_id, call.id),
            subject=viewer.subject,
            at=self._clock(),
            rules=self._rules,
        )

    async def _call(self, connection: AsyncConnection, viewer: Viewer, call_id: str) -> Call | None:
        found = await calls.by_ids(connection, viewer.customer_id, [call_id]) if is_id(call_id) else {}
        return found.get(call_id)

    async def _check_no_other(self, connection: AsyncConnection, call: Call) -> None:
        in_the_way = (
            await transfers.live_of_transferer(connection, call.customer_id, call.id)
            or await transfers.live_of_bridge(connection, call.customer_id, call.confbridge_id or "")
            or await transfers.live_of_transferee(connection, call.customer_id, call.id)
        )
        if in_the_way:
            raise Refusal(
                RefusalCode.ALREADY_TRANSFERRING,
                "A transfer of this call or bridge is under way.",
                "input",
                "transfererCallId",
                transfer_id=in_the_way.id,
                retryable=True,
            )

    # --- reports and timers

    async def look(self, transfer_id: str) -> None:
        """Compare the known state of the calls with the record, take the steps that follow, and end stray legs."""
        _log_as(transfer_id)
        async with self._database.reading() as connection:
            t, known = await self._known(connection, transfer_id)
            if not (await self._step_due(connection, t, known) or await self._strays(connection, t, known)):
                return
        await self._take_steps(transfer_id)

    @again_when_stale
    async def _take_steps(self, transfer_id: str) -> None:
        async with self.recording() as recording:
            connection = recording.connection
            t, known = await self._known(connection, transfer_id)
            while sighting := await self._step_due(connection, t, known):
                changes = advance(t, sighting.trigger, sighting.cause(self._clock(), self._rules))
                await recording.add(changes)
                if not changes:
                    break
                t = changes[-1].after
            hang_ups = [Order(OrderKind.HANG_UP, call_id=leg) for leg in await self._strays(connection, t, known)]
            await orders.add(connection, t, hang_ups, orders.OF_NO_CHANGE)
        if hang_ups:
            log.warning("hanging up %d legs that the transfer has done with", len(hang_ups))
            await self._broker.wake("orders")

    async def _known(self, connection: AsyncConnection, transfer_id: str) -> tuple[Transfer, Mapping[str, Call]]:
        """Return the record, and the known state of its parties and of the calls in its bridge."""
        t = await transfers.by_id(connection, transfer_id)
        assert t is not None  # transfers are never removed
        bind_contextvars(customer_id=t.customer_id)
        return t, await calls.around(connection, t.customer_id, t.party_ids, t.confbridge_id)

    async def _step_due(self, connection: AsyncConnection, t: Transfer, known: Mapping[str, Call]) -> Sighting | None:
        if not t.is_live:
            return None
        bridge = await conferences.by_id(connection, t.confbridge_id)
        due = (one for one in sightings(t, known, bridge) if knows(t, one.trigger) and not is_done(t, one.trigger))
        return next(due, None)

    async def _strays(self, connection: AsyncConnection, t: Transfer, known: Mapping[str, Call]) -> list[str]:
        """Return the stray legs that have no waiting order to hang up yet."""
        found = strays(t, known)
        return [leg for leg in found if not await orders.waits(connection, t.id, kind=OrderKind.HANG_UP, call_id=leg)]

    @again_when_stale
    async def expire(self, transfer_id: str, deadline: datetime) -> None:
        """Let the timer with this deadline fire, if it still runs."""
        _log_as(transfer_id)
        async with self.recording() as recording:
            t = await transfers.by_id(recording.connection, transfer_id)
            trigger = timed_out(t, deadline) if t else None
            if t and trigger:
                await recording.add(advance(t, trigger, Cause(self._clock(), self._rules)))

    # --- record and tell

    @asynccontextmanager
    async def recording(self, customer_id: str | None = None) -> AsyncIterator[Recording]:
        """Run the block in one transaction. After the commit, tell subscribers of the changes that it has recorded.

        Nothing is told when the block or the commit fails. `customer_id`: as in `Database.writing`.
        """
        asked = perf_counter()
        async with self._database.writing(customer_id) as connection:
            recording = Recording(connection)
            yield recording
        await self._tell(recording.changes)
        if recording.changes:
            self._observer.told(perf_counter() - asked)

    async def _tell(self, changes: Sequence[Change]) -> None:
        """Wake the subscribers, and the tasks that carry out orders and run timers."""
        for change in changes:
            self.timers.follow(change)
        for change in changes:
            self._observer.changed(change)
            log_status(change)
        if changes:
            customer_id = changes[-1].after.customer_id
            moved = any(transfers.changes_parties(change.before, change.after) for change in changes)
            more = [f"calls:{customer_id}"] if moved else []
            await self._broker.wake(f"transfers:{customer_id}", "orders", "timers", *more)

    # --- waiting

    async def _finish(self, work: Coroutine[Any, Any, T]) -> T:
        """Finish a command and tell subscribers of it, even when its client disconnects."""
        task = asyncio.ensure_future(work)
        self._commands.add(task)
        task.add_done_callback(self._commands.discard)
        return await asyncio.shield(task)

    async def _settled(self, viewer: Viewer, t: Transfer) -> Transfer:
        """Return the transfer when the engine has carried out a swap or merge. Raises Refusal if the engine refused."""
        await self._until_carried_out(t, SETTLE_SECONDS, since=t.version)
        async with self._database.reading(viewer.customer_id) as connection:
            is_refused = await orders.is_refused(connection, t.id, t.version)
            settled = await self._of_customer(connection, viewer, t.id)
        if is_refused:
            raise Refusal(
                RefusalCode.ENGINE_UNAVAILABLE,
                "The telephony engine refused; all is as it was.",
                transfer_id=t.id,
                retryable=True,
            )
        return settled

    async def _until_carried_out(self, t: Transfer, seconds: float, **which: Any) -> None:
        """Return when no such order waits any more, or after these seconds. `which`: as in `orders.waits`."""
        if seconds <= 0:
            return
        with suppress(TimeoutError):
            async with self._broker.listen(f"orders:{t.id}") as wake_up, asyncio.timeout(seconds):
                while await self._waits(t, **which):
                    await wake_up()

    async def _waits(self, t: Transfer, **which: Any) -> bool:
        async with self._database.reading(t.customer_id) as connection:
            return await orders.waits(connection, t.id, **which)


def _log_as(transfer_id: str) -> None:
    """Unbind the previous customer id: this transfer's is unknown until it has been read."""
    unbind_contextvars("customer_id")
    bind_contextvars(transfer_id=transfer_id)


def log_status(change: Change) -> None:
    """Log the status if the change has changed it."""
    t = change.after
    if change.before is None or change.before.status is not t.status:
        about = {"transfer_id": t.id, "customer_id": t.customer_id, "outcome": t.outcome, "reason": t.outcome_reason}
        log.info("transfer is %s", t.status, extra={name: value for name, value in about.items() if value})
