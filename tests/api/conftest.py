import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.storage.database import Database
from tests.api.archive import Archive


def url(path: Path) -> str:
    return f"sqlite+aiosqlite:///{path}"


async def make(path: Path) -> None:
    database = Database(url(path))
    await database.upgrade()
    await database.close()


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database. It is made once, because the migrations take longer than most tests."""
    path = tmp_path_factory.mktemp("archive") / "empty.sqlite3"
    asyncio.run(make(path))
    return path


@pytest.fixture
async def archive(empty_database: Path, tmp_path: Path) -> AsyncIterator[Archive]:
    path = Path(shutil.copy(empty_database, tmp_path))
    database = Database(url(path))
    yield Archive(database)
    await database.close()
