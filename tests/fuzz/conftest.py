"""One server process for all fuzzing, and its client."""

from collections.abc import Iterator

import pytest

from tests.fuzz.asking import Asker
from tests.watching import Watched, watched


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with watched(tmp_path_factory.mktemp("fuzz"), simulator_pace=20, recall_pause=0.1) as server:
        yield server
        server.check_alive()
        assert server.errors() == ""


@pytest.fixture
def asker(server: Watched) -> Iterator[Asker]:
    asker = Asker(server.url)
    yield asker
    print(asker.codes.most_common())
    asker.close()
