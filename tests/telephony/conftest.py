"""A database of its own for each test."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.storage.database import Database

pytest.register_assert_rewrite("tests.telephony.contract_bridges", "tests.telephony.contract_calls")


@pytest.fixture(scope="session")
def fresh_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with its tables and nothing in them, to be copied: to make one takes a while."""
    path = tmp_path_factory.mktemp("fresh") / "transfers.db"
    asyncio.run(_make(path))
    return path


async def _make(path: Path) -> None:
    database = Database(f"sqlite+aiosqlite:///{path}")
    await database.upgrade()
    await database.close()


@pytest.fixture
def database_url(fresh_file: Path, tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{shutil.copy(fresh_file, tmp_path)}"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.close()
