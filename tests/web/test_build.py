"""When GraphiQL is built anew."""

import os
from pathlib import Path

import pytest

from app.web.build import is_fresh


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """Built at second 20 from sources of second 10."""
    for name in ("main.jsx", "package-lock.json", "examples/start.graphql", "dist/index.html", "node_modules/x.js"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    for path in tmp_path.rglob("*"):
        os.utime(path, (10, 10))
    os.utime(tmp_path / "dist" / "index.html", (20, 20))
    return tmp_path


def test_a_build_newer_than_its_sources_is_fresh(page: Path) -> None:
    assert is_fresh(page)


@pytest.mark.parametrize("name", ["main.jsx", "package-lock.json", "examples/start.graphql", "examples"])
def test_a_changed_source_makes_it_stale(page: Path, name: str) -> None:
    os.utime(page / name, (30, 30))
    assert not is_fresh(page)


def test_what_npm_does_in_its_own_folder_changes_nothing(page: Path) -> None:
    os.utime(page / "node_modules" / "x.js", (30, 30))
    assert is_fresh(page)


def test_what_was_never_built_is_not_fresh(page: Path) -> None:
    (page / "dist" / "index.html").unlink()
    assert not is_fresh(page)
