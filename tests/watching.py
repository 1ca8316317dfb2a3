"""A server process, watched from outside while it is mistreated: what it holds before and after, what it logs."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import httpx
import psutil

from app.storage.database import READERS
from tests.serving import SECRET, START_SECONDS, TLS, free_port

MEGABYTE = 1_000_000
NOISE = 10 * MEGABYTE
"""What memory grows by without a reason that one could name."""
SETTLE_SECONDS = 30
THREADS = 4
"""More than when it was idle: the loop's own helpers."""
FILES = 2 * (READERS + 1)
"""The same: SQLite keeps the descriptor of a closed connection for the next one, as long as others are open."""


@dataclass(frozen=True)
class Held:
    """What a process holds."""

    rss: int
    """Resident memory in bytes."""
    tasks: int
    threads: int
    files: int
    """Descriptors, sockets among them."""
    connections: int

    def is_within(self, other: "Held") -> bool:
        """But for memory, which comes back late."""
        is_idle = self.tasks <= other.tasks and self.connections <= other.connections
        return is_idle and self.threads <= other.threads + THREADS and self.files <= other.files + FILES

    def __str__(self) -> str:
        kept = f"{self.tasks} tasks, {self.threads} threads, {self.files} descriptors, {self.connections} connections"
        return f"{self.rss / MEGABYTE:.1f} MB, {kept}"


class Watched:
    def __init__(self, process: "subprocess.Popen[str]", port: int, log: Path) -> None:
        self.process, self.port, self.log = process, port, log
        self.url = f"http://127.0.0.1:{port}"
        self._seen = psutil.Process(process.pid)

    def held(self) -> Held:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write("?\n")
        self.process.stdin.flush()
        told = json.loads(self.process.stdout.readline())
        connections = [one for one in self._seen.net_connections("tcp") if one.status == psutil.CONN_ESTABLISHED]
        rss, files = self._seen.memory_info().rss, self._seen.num_fds()
        return Held(rss, told["tasks"], told["threads"], files, len(connections))

    @contextmanager
    def kept(self, growth: int = 0) -> Iterator[None]:
        """Whatever happens in it, afterwards the process holds what it held before, and so many bytes more."""
        before = self.settled(lambda held: held.tasks <= self.idle.tasks)
        allowed = replace(self.idle, connections=before.connections)
        yield
        after = self.settled(lambda held: held.is_within(allowed))
        print(f"before: {before}\nafter:  {after}")
        assert after.is_within(allowed)
        assert after.rss - before.rss < NOISE + growth

    @cached_property
    def idle(self) -> Held:
        """When it has started, and nobody has asked it for anything."""
        return self.held()

    def settled(self, is_so: Callable[[Held], bool]) -> Held:
        """What it holds once this is so, or after a while."""
        until = time.monotonic() + SETTLE_SECONDS
        while not is_so(held := self.held()) and time.monotonic() < until:
            time.sleep(0.1)
        return held

    def errors(self) -> str:
        """What it has logged of its own faults, and what went past the log."""
        return self.log.read_text()

    def check_alive(self) -> None:
        assert self.process.poll() is None, self.errors()
        assert httpx.get(f"{self.url}/readyz", verify=TLS).status_code == 200


@contextmanager
def watched(folder: Path, **settings: object) -> Iterator[Watched]:
    """`settings` are TRANSFERS_* variables in lower case."""
    port, log = free_port(), folder / "watched.log"
    given = {"database_url": f"sqlite+aiosqlite:///{folder / 'transfers.sqlite3'}", "auth_secret": SECRET, "port": port}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TRANSFERS_")}
    environment |= {f"TRANSFERS_{name.upper()}": str(value) for name, value in (given | settings).items()}
    with log.open("w") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.watched"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=sink,
            text=True,
        )
    server = Watched(process, port, log)
    try:
        _wait(server)
        print(f"idle:   {server.idle}")
        yield server
    finally:
        process.terminate()
        process.communicate()


def _wait(server: Watched) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        assert server.process.poll() is None, server.errors()
        try:
            if httpx.get(f"{server.url}/readyz", verify=TLS).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise TimeoutError(server.errors())
