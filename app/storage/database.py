"""The database: one writer, readers on connections of their own, a transaction for each unit of work."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
from sqlalchemy import Connection, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from app.storage.migrations.run import upgrade

BUSY_SECONDS = 5.0
READERS = 4


class DatabaseUnavailable(Exception):
    """The database did not take the work: locked, full, or gone. Nothing of it was recorded."""


class Database:
    """SQLite's default of the driver loses updates silently; here a writer takes the lock before it reads."""

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        self._turn = asyncio.Lock()
        self._writer = _engine(url, pool_size=1, begin="BEGIN IMMEDIATE")
        self._readers = _engine(url, pool_size=READERS, begin="BEGIN")

    async def upgrade(self) -> None:
        """Bring the tables to the newest revision. An embedded file is made when it is absent."""
        async with self._writer.connect() as connection:
            await connection.run_sync(upgrade)
            await connection.commit()

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that is committed at the end, durably, or leaves nothing behind."""
        async with self._turn, _translated(), self._writer.begin() as connection:
            yield connection

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """One consistent view, for as long as it lasts: keep it short."""
        async with _translated(), self._readers.connect() as connection:
            yield connection

    async def is_ready(self) -> bool:
        try:
            async with self.reading() as connection:
                await connection.execute(text("SELECT 1"))
        except DatabaseUnavailable:
            return False
        return True

    async def close(self) -> None:
        await self._writer.dispose()
        await self._readers.dispose()


@asynccontextmanager
async def _translated() -> AsyncIterator[None]:
    try:
        yield
    except OperationalError as error:
        raise DatabaseUnavailable(type(error).__name__) from error


def _engine(url: str, pool_size: int, begin: str) -> AsyncEngine:
    engine = create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        json_serializer=lambda value: orjson.dumps(value).decode(),
        json_deserializer=orjson.loads,
        **_driver_options(url),
    )
    if engine.dialect.name == "sqlite":
        event.listen(engine.sync_engine, "connect", _configure_sqlite)
        event.listen(engine.sync_engine, "begin", lambda connection: _begin(connection, begin))
    return engine


def _driver_options(url: str) -> dict[str, Any]:
    return {"connect_args": {"timeout": BUSY_SECONDS}} if url.startswith("sqlite") else {}


def _configure_sqlite(connection: Any, entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves: the driver would only before the first change
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "cache_size=-16000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection, statement: str) -> None:
    connection.exec_driver_sql(statement)
