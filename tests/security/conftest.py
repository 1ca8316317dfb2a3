import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from itertools import count
from pathlib import Path

import pytest

from app.storage.database import Database
from tests.security.world import THEM, US, Estate, Tenant, settle_in


async def make(path: Path, *settlers: tuple[Tenant, Tenant]) -> None:
    database = Database(f"sqlite+aiosqlite:///{path}")
    await database.upgrade()
    async with Estate(database).open() as estate:
        for it, at in settlers:
            await settle_in(estate, it, at)


@pytest.fixture(scope="session")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with both tenants. It is made once and copied for each test."""
    path = tmp_path_factory.mktemp("crowded") / "transfers.sqlite3"
    asyncio.run(make(path, (US, THEM), (THEM, US)))
    return path


@pytest.fixture(scope="session")
def lonely(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same database without the other tenant. Our rows that point at theirs are there, and point at nothing."""
    path = tmp_path_factory.mktemp("lonely") / "transfers.sqlite3"
    asyncio.run(make(path, (US, THEM)))
    return path


Open = Callable[[Path], Database]


@pytest.fixture
def copied(tmp_path: Path) -> Open:
    numbers = count()

    def copy(template: Path) -> Database:
        path = shutil.copy(template, tmp_path / f"{next(numbers)}.sqlite3")
        return Database(f"sqlite+aiosqlite:///{path}")

    return copy


@pytest.fixture
async def both(crowded: Path, copied: Open) -> AsyncIterator[Estate]:
    """An API over the database with both tenants."""
    async with Estate(copied(crowded)).open() as estate:
        yield estate


@pytest.fixture
async def alone(lonely: Path, copied: Open) -> AsyncIterator[Estate]:
    """An API over the database with our tenant alone."""
    async with Estate(copied(lonely)).open() as estate:
        yield estate
