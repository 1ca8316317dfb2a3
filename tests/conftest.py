"""What every test may use."""

from pathlib import Path

import pytest
import pytest_asyncio

from app.storage.database import Database


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", action="store_true", help="the long runs in full")


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
