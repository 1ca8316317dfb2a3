"""A database that a test fills, and the API on top of it."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any, NamedTuple, cast
from uuid import uuid4

from graphql import GraphQLError
from sqlalchemy import Engine, event
from strawberry.types.execution import PreExecutionError

from app.api.context import Context, Services
from app.api.schema import build_schema
from app.brokers.memory import MemoryBroker
from app.domain.calls import Call, Conference
from app.domain.effects import Rules
from app.domain.events import event_of
from app.domain.life import Change
from app.domain.transfer import Transfer
from app.domain.viewer import Viewer
from app.storage import calls, conferences, events, groupcalls, transfers
from app.storage.database import Database
from app.timers import Timers
from app.transfers import Transfers
from tests.builders import NOON, uid, viewer

ANYBODY = viewer()
OTHER_CUSTOMER = viewer(uid("other customer"))
SCHEMA = build_schema()


class WatchedBroker(MemoryBroker):
    """A broker that shows whether a listener waits for a wake-up, and the number of listeners."""

    def __init__(self) -> None:
        super().__init__()
        self.listeners = 0
        self.waiting = asyncio.Event()

    @asynccontextmanager
    async def listen(self, *topics: str) -> AsyncIterator[Callable[[], Awaitable[None]]]:
        async with super().listen(*topics) as next_wake_up:

            async def wait() -> None:
                self.waiting.set()
                await next_wake_up()
                self.waiting.clear()

            self.listeners += 1
            try:
                yield wait
            finally:
                self.listeners -= 1


class Archive:
    def __init__(self, database: Database) -> None:
        self.database = database
        self.broker = WatchedBroker()
        use_cases = Transfers(
            database, self.broker, lambda: NOON, lambda: str(uuid4()), lambda: True, Rules(), Timers(), start_seconds=0
        )
        self.services = Services(database, use_cases, None, self.broker, lambda: NOON)

    async def keep(self, *values: Transfer | Call | Conference) -> None:
        """Store these objects. A transfer is stored with its first event and its groupcall."""
        async with self.database.writing() as connection:
            for value in values:
                if isinstance(value, Call):
                    await calls.save(connection, value)
                elif isinstance(value, Conference):
                    await conferences.save(connection, value)
                else:
                    await transfers.add(connection, value)
                    await events.append(connection, event_of(Change(None, replace(value, version=1), (), None, "me")))
                    await groupcalls.follow_transfer(connection, value)
        await self.wake(*{value.customer_id for value in values})

    async def change(self, before: Transfer, *steps: dict[str, Any]) -> Transfer:
        """Change a transfer. Each step makes one version and one event."""
        async with self.database.writing() as connection:
            for step in steps:
                at = before.tm_update + timedelta(seconds=1)
                after = replace(before, version=before.version + 1, tm_update=at, **step)
                assert await transfers.replace(connection, before, after)
                await events.append(connection, event_of(Change(before, after, (), None, "me")))
                before = after
        await self.wake(before.customer_id)
        return before

    async def wake(self, *customers: str) -> None:
        for customer in customers:
            await self.broker.wake(f"transfers:{customer}", f"calls:{customer}")

    def context(self, who: Viewer = ANYBODY) -> Context:
        return Context(who, "request", self.services)

    async def answer(self, document: str, who: Viewer = ANYBODY, **variables: Any) -> Any:
        return await SCHEMA.execute(document, variable_values=variables, context_value=self.context(who))

    async def ask(self, document: str, who: Viewer = ANYBODY, **variables: Any) -> Any:
        """Return the data of a response that has no errors."""
        result = await self.answer(document, who, **variables)
        assert not result.errors, result.errors
        return result.data

    async def codes(self, document: str, who: Viewer = ANYBODY, **variables: Any) -> list[str]:
        """Return the codes of the errors of a response."""
        return [code(error) for error in (await self.answer(document, who, **variables)).errors or []]

    @asynccontextmanager
    async def following(
        self, document: str, who: Viewer = ANYBODY, **variables: Any
    ) -> AsyncIterator[AsyncGenerator[Any]]:
        """Yield the value of the first field of each event."""
        context = self.context(who)
        results = cast(Any, await SCHEMA.stream(document, variable_values=variables, context_value=context))
        stream = _fields(results)
        try:
            yield stream
        finally:
            await stream.aclose()
            await results.aclose()

    async def refusal(self, document: str, who: Viewer = ANYBODY, **variables: Any) -> str:
        """Return the code of the error with which a subscription is refused before any event."""
        results = cast(Any, await SCHEMA.stream(document, variable_values=variables, context_value=self.context(who)))
        first = [result async for result in results]
        assert len(first) == 1
        assert isinstance(first[0], PreExecutionError)
        (error,) = first[0].errors or []
        return code(error)


async def _fields(results: AsyncGenerator[Any]) -> AsyncGenerator[Any]:
    async for result in results:
        assert not result.errors, result.errors
        yield next(iter(result.data.values()))


def code(error: GraphQLError) -> str:
    return str((error.extensions or {}).get("code"))


class Statement(NamedTuple):
    sql: str
    parameters: tuple[Any, ...]


@contextmanager
def statements() -> Iterator[list[Statement]]:
    """Record every statement that any database runs in the meantime."""
    heard: list[Statement] = []

    def hear(connection: Any, cursor: Any, sql: str, parameters: Any, *_: Any) -> None:
        if not sql.startswith("BEGIN"):
            heard.append(Statement(sql, parameters))

    event.listen(Engine, "before_cursor_execute", hear)
    try:
        yield heard
    finally:
        event.remove(Engine, "before_cursor_execute", hear)
