"""Records what the engine reports of calls and bridges."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.calls import Call, CallHangupBy, CallHangupReason, CallStatus, Conference, ConferenceStatus
from app.domain.pieces import pieces
from app.ports import Broker, Clock
from app.storage import calls, conferences, groupcalls, transfers
from app.storage.database import Database

AT_ONCE = 200
"""Most reports in one transaction. A transaction of a long backlog would keep other writers waiting."""


class Calls:
    def __init__(self, database: Database, broker: Broker, clock: Clock) -> None:
        self._database = database
        self._broker = broker
        self._clock = clock

    async def hear(self, *told: Call | Conference) -> None:
        """Record what is news, and wake the subscribers of calls."""
        for some in pieces(told, AT_ONCE):
            async with self._database.writing() as connection:
                news = await self.record(connection, some)
            await self.tell(news)

    async def record(self, connection: AsyncConnection, told: Sequence[Call | Conference]) -> list[Call]:
        news = []
        for one in told:
            if isinstance(one, Conference):
                await conferences.save(connection, one)
            elif await calls.save(connection, one):
                news.append(one)
                if one.groupcall_id and not one.is_up:
                    await groupcalls.follow_leg(connection, one.groupcall_id, one.tm_update)
        return news

    async def tell(self, news: Sequence[Call]) -> None:
        if news:
            await self._broker.wake(*{f"calls:{call.customer_id}" for call in news})

    async def live(self) -> tuple[list[Call], list[Conference]]:
        """Return the calls and bridges that are up, as far as we know."""
        async with self._database.reading() as connection:
            return await calls.live(connection), await conferences.live(connection)

    async def transferable(self, customer_id: str, owner_ids: Collection[str]) -> list[Call]:
        """Return these agents' calls from which a transfer can start now, oldest first."""
        async with self._database.reading(customer_id) as connection:
            answered = await calls.answered_of_owners(connection, customer_id, owner_ids)
            taken = await transfers.live_by_calls(connection, customer_id, [call.id for call in answered])
            free = [call for call in answered if call.id not in taken]
            return [call for call in free if await calls.others_in_bridge(connection, call)]

    async def miss(self, known: Sequence[Call | Conference], told: Collection[str]) -> None:
        """Record the end of the known calls and bridges whose id the engine no longer knows. `told`: those it does."""
        await self.hear(*(self._gone(one) for one in known if one.id not in told))

    def _gone(self, one: Call | Conference) -> Call | Conference:
        now = self._clock()
        if isinstance(one, Conference):
            return replace(
                one, status=ConferenceStatus.TERMINATED, tm_end=now, tm_update=now, revision=one.revision + 1
            )
        return replace(
            one,
            status=CallStatus.HANGUP,
            hangup_by=CallHangupBy.LOCAL,
            hangup_reason=CallHangupReason.UNKNOWN,
            tm_hangup=now,
            tm_update=now,
            revision=one.revision + 1,
        )
