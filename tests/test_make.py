"""The Makefile, where a first attempt can fail."""

import asyncio
import os
import signal
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path
from shutil import copy

import pytest

from tests.serving import Served, until_ready

ROOT = Path(__file__).parents[1]
OF_MAKE = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKE_TERMOUT", "MAKE_TERMERR")
OUTSIDE = {name: value for name, value in os.environ.items() if name not in OF_MAKE}
"""The environment without make's own variables, as if these tests did not run under make."""
OLD = '#!/bin/sh\ncase "$*" in *version_info*) echo False;; *) echo 3.9.18;; esac\n'
BROKEN = '#!/bin/sh\ncase "$*" in *venv*) mkdir -p .venv/bin; touch .venv/bin/python; exit 1;; *) echo True;; esac\n'


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("Makefile", "pyproject.toml", "requirements.lock", "requirements-dev.lock"):
        copy(ROOT / name, tmp_path)
    return tmp_path


async def make(project: Path, target: str, python: str) -> tuple[int | None, str]:
    """Run a target with this script as its Python. Return its exit code and its output."""
    script = project / "python"
    script.write_text(python)
    script.chmod(0o755)
    process = await asyncio.create_subprocess_exec(
        "make", target, f"PYTHON={script}", cwd=project, env=OUTSIDE, stdout=PIPE, stderr=STDOUT
    )
    out, _ = await process.communicate()
    return process.returncode, out.decode()


@pytest.mark.parametrize("target", ["run", "install", "dev"])
async def test_an_old_python_is_refused_in_one_line_and_leaves_nothing(project: Path, target: str) -> None:
    code, told = await make(project, target, OLD)
    assert code == 2
    assert told.count("\n") == 1
    assert "Python 3.11 or later is needed" in told
    assert "3.9.18" in told
    assert f"make {target} PYTHON=" in told
    assert not (project / ".venv").exists()


async def test_an_environment_that_can_not_be_made_is_not_left_half_made(project: Path) -> None:
    code, _ = await make(project, "install", BROKEN)
    assert code == 2
    assert not (project / ".venv").exists()


@pytest.mark.slow
async def test_ctrl_c_ends_the_demo_without_an_error(tmp_path: Path) -> None:
    settings = {
        "TRANSFERS_DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path / 'transfers.sqlite3'}",
        "TRANSFERS_PORT": "0",
    }
    process = await asyncio.create_subprocess_exec(
        *("make", "-o", "install", "-o", "web", "run"),
        cwd=ROOT,
        env=OUTSIDE | settings,
        stdout=PIPE,
        stderr=STDOUT,
        start_new_session=True,
    )
    assert process.stdout
    url = (await process.stdout.readline()).decode().split()[-1].removesuffix("/graphql")
    await until_ready(Served(process, url, "", tmp_path))
    os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to make and to the server
    told, _ = await process.communicate()
    assert b"***" not in told
    assert b"Traceback" not in told
