"""One process a database: wake-ups reach only the subscribers of the process that records."""

import fcntl
import os
from pathlib import Path


class Claimed(Exception):
    """Another process has it."""


class Claim:
    """On an SQLite file, until it is given up or the process ends, however it does: the kernel keeps it.

    It is on a file beside the database, which stays: whoever removed it could take it from under another's feet. Not on
    the database itself, since closing any descriptor of that would also lose the locks that SQLite has on it.
    """

    def __init__(self, database: Path) -> None:
        self._database = database
        self._descriptor: int | None = None

    def take(self) -> None:
        """Raises Claimed, or OSError when the file can't be made. Taking it again does nothing."""
        if self._descriptor is not None:
            return
        file = self._database.resolve()
        self._check_names(file)
        descriptor = os.open(file.with_name(f"{file.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise Claimed(f"{self._database} is in use by another server: one process a database") from error
        except OSError:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def _check_names(self, file: Path) -> None:
        """By another name another lock would be found, and another log of what is not in the file yet."""
        if file.is_file() and file.stat().st_nlink > 1:
            raise Claimed(f"{self._database} has other names (hard links), by which another server could use it")

    def give_up(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
