"""One running server for all stories. Each story has a customer of its own."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio

from tests.serving import Served, serving
from tests.stories.desk import Desk


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    folder: Path = tmp_path_factory.mktemp("stories")
    async with serving(folder, simulator_pace=20, recall_pause=0.1) as served:
        yield served


@pytest.fixture
def desk(server: Served) -> Desk:
    return Desk(server.client(str(uuid4())))
