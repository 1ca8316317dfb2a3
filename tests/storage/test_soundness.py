"""A file that is not our database, or can't be written, is refused at the start. Later damage is reported."""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from app.storage.counters import last_number
from app.storage.database import Database, DatabaseDamaged, check_file
from tests.builders import CUSTOMER

NOBODY = 65534


def test_a_new_file_is_nobody_elses_to_read(tmp_path: Path) -> None:
    check_file(tmp_path / "database")
    assert (tmp_path / "database").stat().st_mode & 0o777 == 0o600


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "database")) as theirs:
        theirs.execute("CREATE TABLE users (name)")
    with pytest.raises(sqlite3.DatabaseError, match="it belongs to another program"):
        check_file(tmp_path / "database")


@contextmanager
def without_privileges() -> Iterator[None]:
    """Drop root's privilege to write any file."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


def test_a_file_that_can_only_be_read_is_refused(empty_database: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        file = Path(shutil.copy(empty_database, folder))
        file.chmod(0o444)
        with without_privileges(), pytest.raises((OSError, sqlite3.Error)):
            check_file(file)


async def test_a_damaged_database_is_told_of_once_and_not_ready_any_more(
    empty_database: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = Path(shutil.copy(empty_database, tmp_path))
    database = Database(f"sqlite+aiosqlite:///{file}")
    await database.upgrade()
    assert await database.is_ready()
    await database.close()
    spoil(file, "sqlite_autoindex_counters_1")
    for _ in range(2):
        with pytest.raises(DatabaseDamaged):
            async with database.reading() as connection:
                await last_number(connection, CUSTOMER, "test")
    assert not await database.is_ready()
    assert [record.levelname for record in caplog.records if "damaged" in record.message] == ["ERROR"]
    await database.close()


def spoil(file: Path, name: str) -> None:
    """Overwrite the first page of this table or index."""
    with closing(sqlite3.connect(file)) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (name,)).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    with file.open("r+b") as octets:
        octets.seek((page - 1) * size)
        octets.write(b"\xff" * size)
