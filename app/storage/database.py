"""The database: one writer, readers on connections of their own, a transaction for each unit of work."""

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
"""How long work waits for another process's lock, for its turn to write, and for a connection to read."""
READERS = 8
READS, WRITES = 2, 4
"""How many of a customer's are under way at once; of the writes all but one wait for their turn."""
ROOM = ("CREATE TABLE room AS SELECT zeroblob(65536) AS octets", "DROP TABLE room")
"""Writes, and leaves nothing behind: what fails on a full disk."""


DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


class DatabaseUnavailable(Exception):
    """The database did not take the work: locked, full, or gone. Nothing of it was recorded."""


class DatabaseDamaged(DatabaseUnavailable):
    """It can't be read any more as it should be: nobody but an operator can mend that."""


class Database:
    """SQLite's default of the driver loses updates silently; here a writer takes the lock before it reads."""

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
        """Bring the tables to the newest revision. An embedded file is made when it is absent."""
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
        """A transaction that is committed at the end, durably, or leaves nothing behind.

        `customer_id`: whose client asks for it; of each only some are under way, the others wait.
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
        """One consistent view, for as long as it lasts: keep it short. `customer_id` as in `writing`."""
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
        """For those who follow their statements."""
        return self._writer.sync_engine, self._readers.sync_engine

    async def is_ready(self) -> bool:
        """Whether it is sound, can be read, and takes work: once it has refused some, that is tried."""
        if not self.is_sound():
            return False
        try:
            async with self.reading() as connection:
                await connection.execute(text("SELECT 1 FROM alembic_version"))
            return not self._refused_work or await self._takes_work_again()
        except DatabaseUnavailable:
            return False

    def is_sound(self) -> bool:
        """Whether it is undamaged, and the file that it was at the start.

        One that is moved away, or has had another put in its place, is still written to by whoever has it open, and
        missed by everybody else.
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
            for statement in ROOM:
                await connection.execute(text(statement))
        self._refused_work = False
        return True

    @asynccontextmanager
    async def _my_turn(self) -> AsyncIterator[None]:
        """Raises DatabaseUnavailable after a while: whoever asked must not wait behind a crowd for a lost database."""
        try:
            async with asyncio.timeout(self._busy_seconds):
                await self._turn.acquire()
        except TimeoutError as error:
            raise DatabaseUnavailable("too many wait to write") from error
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
            raise  # a statement that it does not understand: a fault of ours, which waiting would not cure
        raise (DatabaseDamaged if _is_damage(error.orig) else DatabaseUnavailable)(str(error.orig)) from error
    except PoolTimeoutError as error:
        raise DatabaseUnavailable("no connection was free in time") from error


def _is_damage(error: BaseException | None) -> bool:
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF in DAMAGED  # the rest says in what way


def check_file(file: Path) -> None:
    """Makes it if it is absent. Raises OSError or sqlite3.Error unless it is a database of ours that can be written.

    Not by an engine: the thread of a connection that can't be opened may outlive the loop, and tell of that.
    """
    file.touch(mode=0o600)  # notes and telephone numbers stand in it
    with closing(sqlite3.connect(file, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(ROOM[0])  # where nothing can be written, the lock alone is granted all the same
        connection.execute("ROLLBACK")
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if tables and "alembic_version" not in tables:
        raise sqlite3.DatabaseError("it is another program's: its tables are not ours")


def _existing(url: URL) -> URL:
    """Never makes the file: in place of one that is away for a while there would be an empty one."""
    if url.get_backend_name() != "sqlite" or url.query or url.database in (None, "", ":memory:"):
        return url
    return url.set(database=f"file:{quote(str(url.database))}", query={"mode": "rw", "uri": "true"})


def _engine(url: URL, pool_size: int, begin: str, busy_seconds: float) -> AsyncEngine:
    engine = create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=busy_seconds,
        hide_parameters=True,  # of errors: they are notes and metadata, and errors are logged
        json_serializer=lambda value: orjson.dumps(value).decode(),
        json_deserializer=orjson.loads,
        connect_args={"timeout": busy_seconds} if url.get_backend_name() == "sqlite" else {},
    )
    if engine.dialect.name == "sqlite":
        event.listen(engine.sync_engine, "connect", _configure_sqlite)
        event.listen(engine.sync_engine, "begin", lambda connection: _begin(connection, begin))
        event.listen(engine.sync_engine, "invalidate", _roll_back)
    return engine


def _configure_sqlite(connection: Any, entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves: the driver would only before the first change
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "cache_size=-8000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _roll_back(connection: Any, *_: object) -> None:
    """Of work that was cancelled. It is closed next, but while one of its cursors lives SQLite would keep the lock."""
    with suppress(ValueError):  # closed already
        connection.driver_connection.rollback().send(None)  # queued before the close; nobody may wait here


def _begin(connection: Connection, statement: str) -> None:
    connection.exec_driver_sql(statement)
