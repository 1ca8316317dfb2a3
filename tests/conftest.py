"""What every test may use."""

from collections.abc import AsyncIterator
from pathlib import Path
from shutil import copy

import pytest
import pytest_asyncio
from hypothesis import settings

from app.storage.database import Database


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", action="store_true", help="the long runs in full")


def pytest_configure(config: pytest.Config) -> None:
    """Random runs are the same each time, unless they are to be long."""
    settings.register_profile("quick", max_examples=15, derandomize=True, deadline=None)
    settings.register_profile("soak", max_examples=400, deadline=None)
    settings.load_profile("soak" if config.getoption("--soak") else "quick")


@pytest.fixture(scope="session")
def soak(pytestconfig: pytest.Config) -> bool:
    """Whether the long runs are run in full."""
    return bool(pytestconfig.getoption("--soak"))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file with its tables: copying it is quicker than making them."""
    file = tmp_path_factory.mktemp("empty") / "transfers.sqlite3"
    database = Database(f"sqlite+aiosqlite:///{file}")
    await database.upgrade()
    await database.close()
    return file


@pytest.fixture
async def database(empty_database: Path, tmp_path: Path) -> AsyncIterator[Database]:
    """Of this test alone."""
    database = Database(f"sqlite+aiosqlite:///{copy(empty_database, tmp_path)}")
    yield database
    await database.close()
