"""The database: one connection that writes, a pool that reads, and a transaction for each unit of work."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
from sqlalchemy import URL, Connection, Engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DatabaseError, DataError, IntegrityError, NotSupportedError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from app.ports import NOBODY, Observer
from app.storage.migrations.run import upgrade
from app.storage.shares import Shares

log = logging.getLogger(__name__)

BUSY_SECONDS = 5.0
"""Seconds to wait for another process's lock, for the turn to write, or for a connection to read."""
READERS = 8
READS, WRITES = 2, 4
"""Most reads and writes of one customer at once. One write runs; the others wait for their turn."""
TRIAL_WRITE = ("CREATE TABLE room AS SELECT zeroblob(65536) AS octets", "DROP TABLE room")
"""Write 64 KiB and remove them again: this fails when the disk is full."""


DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


class DatabaseUnavailable(Exception):
    """Raised when the database is locked, full, or gone. Nothing of the work was recorded."""


class DatabaseDamaged(DatabaseUnavailable):
    """Raised when the database file is damaged. Only an operator can repair that."""


class Database:
    """Connections to the database. A writer takes the lock before it reads, so that no update is lost."""

    def __init__(self, url: str, observer: Observer = NOBODY, busy_seconds: float = BUSY_SECONDS) -> None:
        self.url = make_url(url)
        self._observer = observer
        self._busy_seconds = busy_seconds
        self._turn = asyncio.Lock()
        self._reads, self._writes = Shares(READS), Shares(WRITES)
        self._writer = _engine(_existing(self.url), 1, "BEGIN IMMEDIATE", busy_seconds)
        self._readers = _engine(_existing(self.url), READERS, "BEGIN", busy_seconds)
        self._refused_work = False
        self._is_damaged = False
        self._trial = asyncio.Lock()
        self._file: tuple[int, int] | None = None

    async def upgrade(self) -> None:
        """Migrate the tables to the newest revision. An SQLite file that does not exist is created."""
        engine = _engine(self.url, 1, "BEGIN IMMEDIATE", self._busy_seconds)
        try:
            async with engine.connect() as connection:
                await connection.run_sync(upgrade)
                await connection.commit()
        finally:
            await engine.dispose()
        self._file = self._identity()

    @asynccontextmanager
    async def writing(self, customer_id: str | None = None) -> AsyncIterator[AsyncConnection]:
        """Open a transaction that is committed durably at the end of the block, or rolled back on an error.

        `customer_id` is the customer whose client needs it. Each customer has a limited share; further work waits.
        """
        with self._noted():
            async with self._writes.one(customer_id), self._my_turn(), self._write() as connection:
                yield connection

    @asynccontextmanager
    async def _write(self) -> AsyncIterator[AsyncConnection]:
        try:
            async with _translated(), self._writer.begin() as connection:
                yield connection
        except DatabaseUnavailable:
            self._refused_work = True
            raise

    @asynccontextmanager
    async def reading(self, customer_id: str | None = None) -> AsyncIterator[AsyncConnection]:
        """Open a consistent snapshot. Keep it short: it occupies a connection. `customer_id` as in `writing`."""
        with self._noted():
            async with self._reads.one(customer_id), _translated(), self._readers.connect() as connection:
                yield connection

    @contextmanager
    def _noted(self) -> Iterator[None]:
        try:
            yield
        except DatabaseUnavailable as error:
            self._observer.database_unavailable()
            if isinstance(error, DatabaseDamaged) and not self._is_damaged:
                self._is_damaged = True
                log.error("The database is damaged: %s", error)
            raise

    @property
    def engines(self) -> tuple[Engine, Engine]:
        """The engines of the writer and of the readers, so that tracing can follow their statements."""
        return self._writer.sync_engine, self._readers.sync_engine

    async def is_ready(self) -> bool:
        """Return whether the database is sound and can be read and written. After a failed write, try a write."""
        if not self.is_sound():
            return False
        try:
            async with self.reading() as connection:
                await connection.execute(text("SELECT 1 FROM alembic_version"))
            return not self._refused_work or await self._takes_work_again()
        except DatabaseUnavailable:
            return False

    def is_sound(self) -> bool:
        """Return whether the database is undamaged, and still the file that was opened at the start.

        When the file is moved or replaced, our connections still write to the old file, and nobody else finds it.
        """
        return not self._is_damaged and self._identity() == self._file

    def _identity(self) -> tuple[int, int] | None:
        if self.url.get_backend_name() != "sqlite":
            return None
        try:
            found = Path(str(self.url.database)).stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    async def _takes_work_again(self) -> bool:
        if self._trial.locked():
            return False
        async with self._trial, self.writing() as connection:
            for statement in TRIAL_WRITE:
                await connection.execute(text(statement))
        self._refused_work = False
        return True

    @asynccontextmanager
    async def _my_turn(self) -> AsyncIterator[None]:
        """Wait for the turn to write. Raise DatabaseUnavailable after `busy_seconds`, so that no client waits long."""
        try:
            async with asyncio.timeout(self._busy_seconds):
                await self._turn.acquire()
        except TimeoutError as error:
            raise DatabaseUnavailable("too many writes are waiting") from error
        try:
            yield
        finally:
            self._turn.release()

    async def close(self) -> None:
        await self._writer.dispose()
        await self._readers.dispose()


@asynccontextmanager
async def _translated() -> AsyncIterator[None]:
    try:
        yield
    except (IntegrityError, DataError, ProgrammingError, NotSupportedError):
        raise
    except DatabaseError as error:
        if getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR:
            raise  # a statement with an error: a bug, so a retry would not help
        raise (DatabaseDamaged if _is_damage(error.orig) else DatabaseUnavailable)(str(error.orig)) from error
    except PoolTimeoutError as error:
        raise DatabaseUnavailable("no connection became free in time") from error


def _is_damage(error: BaseException | None) -> bool:
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF in DAMAGED  # the higher bits hold the extended code


def check_file(file: Path) -> None:
    """Create the file if it does not exist. Raise OSError or sqlite3.Error unless it is our database and writable.

    This does not use an async engine: when a connection can't be opened, its thread can outlive the event loop and
    print an error.
    """
    file.touch(mode=0o600)  # it holds notes and telephone numbers
    with closing(sqlite3.connect(file, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(TRIAL_WRITE[0])  # BEGIN alone succeeds even where nothing can be written
        connection.execute("ROLLBACK")
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if tables and "alembic_version" not in tables:
        raise sqlite3.DatabaseError("it belongs to another program: its tables are not ours")


def _existing(url: URL) -> URL:
    """Return a URL that never creates the file. An empty database must not replace a file that is away for a while."""
    if url.get_backend_name() != "sqlite" or url.query or url.database in (None, "", ":memory:"):
        return url
    return url.set(database=f"file:{quote(str(url.database))}", query={"mode": "rw", "uri": "true"})


def _engine(url: URL, pool_size: int, begin: str, busy_seconds: float) -> AsyncEngine:
    engine = create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=busy_seconds,
        hide_parameters=True,  # errors are logged, and parameters contain notes and metadata
        json_serializer=lambda value: orjson.dumps(value).decode(),
        json_deserializer=orjson.loads,
        connect_args={"timeout": busy_seconds} if url.get_backend_name() == "sqlite" else {},
    )
    if engine.dialect.name == "sqlite":
        event.listen(engine.sync_engine, "connect", _configure_sqlite)
        event.listen(engine.sync_engine, "begin", lambda connection: _begin(connection, begin))
        event.listen(engine.sync_engine, "invalidate", _roll_back)
    return engine


def _configure_sqlite(connection: Any, pooled: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # we send BEGIN: the driver would send it only before the first change
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "cache_size=-8000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _roll_back(connection: Any, *_: object) -> None:
    """Roll back cancelled work before its connection is closed: SQLite keeps the lock while a cursor is alive."""
    with suppress(ValueError):  # the connection is already closed
        connection.driver_connection.rollback().send(None)  # runs before the close; this listener can't await it


def _begin(connection: Connection, statement: str) -> None:
    connection.exec_driver_sql(statement)
