"""A lock that lets only one server use a database: wake-ups don't reach the subscribers of another process."""

import fcntl
import os
from pathlib import Path


class Claimed(Exception):
    """Raised when another process uses the database, or could use it by another name."""


class Claim:
    """A lock on an SQLite database, until `give_up` or the end of the process. The kernel releases it after a crash.

    The lock is on a file beside the database. That file is never removed, because two servers could then lock two
    different files. The database itself is not locked: closing any descriptor of a file also releases the locks that
    SQLite holds on it.
    """

    def __init__(self, database: Path) -> None:
        self._database = database
        self._descriptor: int | None = None

    def take(self) -> None:
        """Take the lock; a second call does nothing. Raise Claimed, or OSError when the lock file can't be created."""
        if self._descriptor is not None:
            return
        file = self._database.resolve()
        self._check_names(file)
        descriptor = os.open(file.with_name(f"{file.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise Claimed(f"{self._database} is in use by another server, and only one can use it at a time") from error
        except OSError:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def _check_names(self, file: Path) -> None:
        """Raise Claimed for a file with hard links: under another name it has another lock file and another WAL."""
        if file.is_file() and file.stat().st_nlink > 1:
            raise Claimed(f"{self._database} has hard links: another server could use it by another name")

    def give_up(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
