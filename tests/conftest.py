"""Fixtures and options for all tests."""

from collections.abc import AsyncIterator
from pathlib import Path
from shutil import copy

import pytest
import pytest_asyncio
from hypothesis import settings

from app.storage.database import Database


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", action="store_true", help="run the long tests in full")


def pytest_configure(config: pytest.Config) -> None:
    """Load a Hypothesis profile. The quick one is the same in each run; the long one, for --soak, is random."""
    settings.register_profile("quick", max_examples=15, derandomize=True, deadline=None)
    settings.register_profile("soak", max_examples=400, deadline=None)
    settings.load_profile("soak" if config.getoption("--soak") else "quick")


@pytest.fixture(scope="session")
def soak(pytestconfig: pytest.Config) -> bool:
    """Whether --soak is given."""
    return bool(pytestconfig.getoption("--soak"))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database file. Tests copy it, which is faster than a migration."""
    file = tmp_path_factory.mktemp("empty") / "transfers.sqlite3"
    database = Database(f"sqlite+aiosqlite:///{file}")
    await database.upgrade()
    await database.close()
    return file


@pytest.fixture
async def database(empty_database: Path, tmp_path: Path) -> AsyncIterator[Database]:
    """An empty database for one test."""
    database = Database(f"sqlite+aiosqlite:///{copy(empty_database, tmp_path)}")
    yield database
    await database.close()
