"""The subscriptions. Permissions and arguments are checked before the first message, so a bad one fails at its start.

The broker only wakes a subscription. What it sends is read from the database in batches, and no connection to the
database is held between two batches. A subscription listens to the broker before its first read, so it misses no
change: the read finds the change, or the change wakes it.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Annotated

import strawberry
from strawberry import ID, UNSET

from app.api.context import Context, Info
from app.api.enums import CallChangeKind
from app.api.errors import coded_error, require
from app.api.fields import subscribed
from app.api.inputs import OptionalCallFilter, OptionalEventFilter, call_filter, event_filter
from app.api.paging import BadCursor, event_cursors, first_given
from app.api.types import Call, CallChange, TransferEvent
from app.domain.events import Event
from app.domain.text import is_id
from app.domain.viewer import Permission
from app.ports import wake_up_within
from app.storage import call_changes, events
from app.storage.call_changes import BATCH, CallSeen
from app.storage.events import last_seq, latest
from app.storage.filters import CallFilter, EventFilter


async def _latest(context: Context, transfer_id: str) -> Event:
    if is_id(transfer_id):
        async with context.services.database.reading(context.viewer.customer_id) as connection:
            found = await latest(connection, context.viewer.customer_id, transfer_id)
        if found:
            return found
    raise coded_error("NOT_FOUND", "No such transfer.")


async def _start_seq(context: Context, after: str | None) -> int:
    """Return the seq to begin after: that of the cursor, or the end. Raise CURSOR_INVALID or CURSOR_EXPIRED."""
    customer_id = context.viewer.customer_id
    async with context.services.database.reading(customer_id) as connection:
        last = await last_seq(connection, customer_id)
        if after is None:
            return last
        first = await events.first_seq(connection, customer_id)
    try:
        (seq,) = event_cursors(customer_id).event_key(after)
    except BadCursor as error:
        raise coded_error("CURSOR_INVALID", "This is not a cursor of the event log.") from error
    if seq > last:
        raise coded_error("CURSOR_INVALID", "This cursor is beyond the end of the event log.")
    if seq + 1 < (last + 1 if first is None else first):
        raise coded_error("CURSOR_EXPIRED", "Events after this cursor are no longer kept. Read the transfers again.")
    return seq


async def _follow_transfer(context: Context, event: Event) -> AsyncGenerator[TransferEvent]:
    """Yield the events of a transfer, from this one to the one that ends it."""
    services, customer_id = context.services, context.viewer.customer_id
    async with services.broker.listen(f"transfers:{customer_id}") as next_wake_up:
        batch = [event]
        while True:
            for event in batch:
                context.renew()
                yield TransferEvent.of(event)
                if event.is_last:
                    return
            async with services.database.reading(customer_id) as connection:
                batch = await events.transfer_events_after(connection, customer_id, event.transfer_id, event.version)
            if not batch:
                await wake_up_within(next_wake_up, services.sweep_seconds)


async def _follow_log(context: Context, seq: int, wanted: EventFilter) -> AsyncGenerator[TransferEvent]:
    services, customer_id = context.services, context.viewer.customer_id
    async with services.broker.listen(f"transfers:{customer_id}") as next_wake_up:
        while True:
            async with services.database.reading(customer_id) as connection:
                chunk = await events.events_after(connection, customer_id, seq, wanted)
            for event in chunk.events:
                context.renew()
                yield TransferEvent.of(event)
            seq = chunk.seq
            if chunk.is_end:
                await wake_up_within(next_wake_up, services.sweep_seconds)


async def _follow_calls(context: Context, wanted: CallFilter) -> AsyncGenerator[CallChange]:
    services, customer_id = context.services, context.viewer.customer_id
    sent = SentCalls()
    async with services.broker.listen(f"calls:{customer_id}") as next_wake_up:
        async with services.database.reading(customer_id) as connection:
            ids, seq = await call_changes.present_call_ids(connection, customer_id, wanted)
        for start in range(0, len(ids), BATCH):
            async with services.database.reading(customer_id) as connection:
                batch = await call_changes.calls_seen(connection, customer_id, ids[start : start + BATCH], wanted)
            for change in sent.present(batch):
                context.renew()
                yield change
        yield CallChange(kind=CallChangeKind.READY, call=None)
        while True:
            async with services.database.reading(customer_id) as connection:
                batch = await call_changes.calls_after(connection, customer_id, seq, wanted)
            for change in sent.changed(batch):
                context.renew()
                yield change
            if not batch:
                await wake_up_within(next_wake_up, services.sweep_seconds)
            seq = batch[-1].seq if batch else seq


class SentCalls:
    """The version of each call that a subscriber has been sent."""

    def __init__(self) -> None:
        self._versions: dict[str, int] = {}

    def present(self, batch: list[CallSeen]) -> list[CallChange]:
        """Return the calls that are still up. One that has ended since was never sent, so no `GONE` follows."""
        return [self._send(CallChangeKind.PRESENT, seen) for seen in batch if seen.is_present]

    def changed(self, batch: list[CallSeen]) -> list[CallChange]:
        found = []
        for seen in batch:
            version = self._versions.get(seen.call.id)
            if seen.is_present and (version is None or version < seen.call.version):
                found.append(self._send(CallChangeKind.CHANGED, seen))
            elif not seen.is_present and version is not None:
                del self._versions[seen.call.id]
                found.append(CallChange(kind=CallChangeKind.GONE, call=Call.of(seen.call)))
        return found

    def _send(self, kind: CallChangeKind, seen: CallSeen) -> CallChange:
        self._versions[seen.call.id] = seen.call.version
        return CallChange(kind=kind, call=Call.of(seen.call))


@strawberry.type(description="The subscriptions, over WebSocket or server-sent events.")
class Subscription:
    @subscribed(
        "Follows one transfer. Sends its latest event at once, even if it has ended, and then every event"
        " in the order of versions. Completes after the event that ends the transfer. An unknown id is an"
        " error with the code `NOT_FOUND`. Needs `TRANSFERS_READ`."
    )
    async def transfer_changed(
        self, info: Info, id: Annotated[ID, strawberry.argument(description="The UUID of the transfer.")]
    ) -> AsyncIterator[TransferEvent]:
        require(info.context.viewer, Permission.TRANSFERS_READ)
        return _follow_transfer(info.context, await _latest(info.context, id))

    @subscribed(
        "Follows all transfers of the customer. Without `after` it sends the events from now on. With "
        "`after` it first sends every event since that cursor, each exactly once, and then new events as "
        "they happen. Error codes: `CURSOR_INVALID`, and `CURSOR_EXPIRED` if events after the cursor are "
        "no longer kept. Needs `TRANSFERS_READ`."
    )
    async def transfer_events(
        self,
        info: Info,
        filter: OptionalEventFilter = UNSET,
        after: Annotated[
            str | None,
            strawberry.argument(
                description="The cursor to begin after: a `TransferEvent.cursor`, or the `eventCursor` of a page of "
                "transfers."
            ),
        ] = UNSET,
    ) -> AsyncIterator[TransferEvent]:
        require(info.context.viewer, Permission.TRANSFERS_READ)
        return _follow_log(info.context, await _start_seq(info.context, first_given(after)), event_filter(filter))

    @subscribed(
        "Follows the calls of the customer: first the live calls as `PRESENT`, then `READY`, then every "
        "change. A call that ends or no longer matches the filter is `GONE`. A call changes when one of "
        "its own fields changes, or `transfer` or `transferRole`. Other links are not followed: use "
        "`transferEvents` for changes within a transfer, and the filter `confbridgeId` for the calls in a"
        " bridge. Needs `CALLS_READ`."
    )
    async def call_changed(self, info: Info, filter: OptionalCallFilter = UNSET) -> AsyncIterator[CallChange]:
        require(info.context.viewer, Permission.CALLS_READ)
        return _follow_calls(info.context, call_filter(filter))
