"""Only one process can use a database, as long as that process lives."""

import subprocess
import sys
from pathlib import Path

import pytest

from app.storage.claim import Claim, Claimed

HOLD = """
import sys, time
from pathlib import Path
from app.storage.claim import Claim
claim = Claim(Path(sys.argv[1]))
claim.take()
print("taken", flush=True)
time.sleep(60)
"""


def test_it_is_taken_once_and_may_be_taken_when_it_was_given_up(tmp_path: Path) -> None:
    first, second = Claim(tmp_path / "database"), Claim(tmp_path / "database")
    first.take()
    first.take()
    with pytest.raises(Claimed, match="is in use by another server"):
        second.take()
    first.give_up()
    second.take()
    second.give_up()


def test_another_name_of_the_file_is_the_same(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "database")
    first = Claim(tmp_path / "database")
    first.take()
    with pytest.raises(Claimed):
        Claim(tmp_path / "link").take()
    first.give_up()


def test_a_file_of_two_names_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "database").touch()
    (tmp_path / "other").hardlink_to(tmp_path / "database")
    with pytest.raises(Claimed, match="hard links"):
        Claim(tmp_path / "other").take()


def test_it_ends_with_its_process_however_that_ends(tmp_path: Path) -> None:
    file = tmp_path / "database"
    with subprocess.Popen([sys.executable, "-c", HOLD, file], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "taken\n"
        with pytest.raises(Claimed):
            Claim(file).take()
        holder.kill()
    claim = Claim(file)
    claim.take()
    claim.give_up()
