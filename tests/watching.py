"""A server process under attack, watched from outside: its resources before and after, and its log."""

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
"""Bytes by which memory can grow without a leak."""
SETTLE_SECONDS = 30
THREADS = 4
"""Threads beyond those of an idle server: helpers of the event loop."""
FILES = 2 * (READERS + 1)
"""Descriptors beyond those of an idle server. SQLite keeps a closed connection's while others are open."""


@dataclass(frozen=True)
class Held:
    """The resources of a process."""

    rss: int
    """Resident memory in bytes."""
    tasks: int
    threads: int
    files: int
    """Open descriptors, including sockets."""
    connections: int

    def is_within(self, other: "Held") -> bool:
        """Return whether no resource exceeds the other's. Memory is not compared, because it is freed late."""
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
        """Assert that after the block the process has no more resources than before, but for `growth` bytes."""
        before = self.settled(lambda held: held.tasks <= self.idle.tasks)
        allowed = replace(self.idle, connections=before.connections)
        yield
        after = self.settled(lambda held: held.is_within(allowed))
        print(f"before: {before}\nafter:  {after}")
        assert after.is_within(allowed)
        assert after.rss - before.rss < NOISE + growth

    @cached_property
    def idle(self) -> Held:
        """The resources after the start, before the first request."""
        return self.held()

    def settled(self, is_so: Callable[[Held], bool]) -> Held:
        """Return the resources once `is_so` accepts them, or after SETTLE_SECONDS."""
        until = time.monotonic() + SETTLE_SECONDS
        while not is_so(held := self.held()) and time.monotonic() < until:
            time.sleep(0.1)
        return held

    def errors(self) -> str:
        """Return the errors in the log, with all other output to standard error."""
        return self.log.read_text()

    def check_alive(self) -> None:
        assert self.process.poll() is None, self.errors()
        assert httpx.get(f"{self.url}/readyz", verify=TLS).status_code == 200


@contextmanager
def watched(folder: Path, **settings: object) -> Iterator[Watched]:
    """Run a server until the block ends. `settings` are TRANSFERS_* variables in lower case."""
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
