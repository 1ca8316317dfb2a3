"""What one transaction records of transfers: each change with its version, its event and its orders."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.events import event_of
from app.domain.life import Change
from app.storage import events, groupcalls, orders, transfers


class Stale(Exception):
    """Another writer has changed the record. Read it again, and decide again."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One transaction, and the changes that it has recorded so far."""

    connection: AsyncConnection
    changes: list[Change] = field(default_factory=list)

    async def add(self, changes: Sequence[Change]) -> None:
        """Record these changes of one transfer. Raises Stale."""
        for change in changes:
            await self._add(change)
        if changes:
            await groupcalls.follow_transfer(self.connection, changes[-1].after)
        self.changes.extend(changes)

    async def _add(self, change: Change) -> None:
        after = change.after
        await self._write(change)
        await events.append(self.connection, event_of(change))
        await orders.overrule(self.connection, after.id, change.overruled)
        if change.overrules_join:
            await orders.overrule_join(self.connection, after.id)
        if change.ends:
            await orders.repeat_given_up(self.connection, after.id)
        await orders.add(self.connection, after, change.orders)

    async def _write(self, change: Change) -> None:
        if change.before is None:
            await transfers.add(self.connection, change.after)
        elif not await transfers.replace(self.connection, change.before, change.after):
            raise Stale
