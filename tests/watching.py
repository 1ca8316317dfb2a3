"""A server process, watched from outside while it is mistreated: what it holds before and after, what it logs."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from tests.serving import SECRET, START_SECONDS, TLS, free_port

MEGABYTE = 1_000_000


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
        mine, others = (self.tasks, self.files, self.connections), (other.tasks, other.files, other.connections)
        return all(one <= another for one, another in zip(mine, others, strict=True))

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
    def kept(self, megabytes: float = 30) -> Iterator[None]:
        """Whatever happens in it, afterwards the process holds what it held before, and so much memory more."""
        before = self.held()
        yield
        until = time.monotonic() + 30
        while not (after := self.held()).is_within(before) and time.monotonic() < until:
            time.sleep(0.1)
        print(f"before: {before}\nafter:  {after}")
        assert after.is_within(before)
        assert after.rss - before.rss < megabytes * MEGABYTE

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
        _warm_up(server)
        yield server
    finally:
        process.terminate()
        process.communicate()


def _warm_up(server: Watched) -> None:
    """It opens connections to its database as they are needed, and keeps them."""
    with ThreadPoolExecutor(16) as crowd:
        list(crowd.map(lambda _: server.check_alive(), range(64)))


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
