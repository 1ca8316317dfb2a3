"""The throughput that one principal gets from one server process on this machine: python -m tests.bench.load.

Each connection has one request in flight. Rates are compared with the rate of /healthz, which does nothing.
"""

import asyncio
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import repeat
from pathlib import Path
from urllib.parse import urlsplit

import orjson

from tests.bench.table import ms, show
from tests.serving import Client, serving
from tests.stories.desk import STARTED, Desk, tel

CONNECTIONS, SECONDS, STARTS = 8, 10.0, 100
READ = "query ($id: ID!) { transfer(id: $id) { id status version transfereeAddresses { target } confbridgeId } }"
PAGE = """{ transfers(first: 100) { nodes {
    id heldCalls { id transfer { id } groupcall { id } conference { id } }
} } }"""
ANSWERED, THROTTLED = "answered", "throttled"


class Load:
    """The seconds of each request, by outcome."""

    def __init__(self) -> None:
        self.seconds = defaultdict[str, list[float]](list)
        self.lasted = 0.0

    def row(self, what: str, outcome: str, limit: float) -> tuple[str, ...]:
        seconds = sorted(self.seconds[outcome])
        rate = len(seconds) / self.lasted
        p50, p99 = (seconds[int(len(seconds) * share)] for share in (0.5, 0.99))
        return what, outcome, f"{rate:,.0f}", f"{rate / limit:.3f}", ms(p50), ms(p99)


class Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def ask(self, request: bytes) -> str:
        """Send a request, and return its outcome."""
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        body = await self._reader.readexactly(int(length))
        if head.startswith(b"HTTP/1.1 429"):
            return THROTTLED
        assert head.startswith(b"HTTP/1.1 200"), body
        return ANSWERED if b'"errors"' not in body and b'"code"' not in body else "refused"

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()


class Bench:
    def __init__(self, client: Client) -> None:
        self._client = client
        self._address = urlsplit(client.url)

    def post(self, query: str, **variables: object) -> bytes:
        body = orjson.dumps({"query": query, "variables": variables})
        head = f"POST /graphql HTTP/1.1\r\nHost: {self._address.netloc}\r\nAuthorization: Bearer {self._client.token}"
        return f"{head}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body

    def nothing(self) -> bytes:
        return f"GET /healthz HTTP/1.1\r\nHost: {self._address.netloc}\r\n\r\n".encode()

    async def load(self, requests: Iterable[bytes], connections: int = CONNECTIONS) -> Load:
        """Send requests as fast as the server answers, until they run out or SECONDS have passed."""
        load, began, waiting = Load(), time.perf_counter(), iter(requests)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(connections):
                tasks.create_task(self._send(waiting, load, began + SECONDS))
        load.lasted = time.perf_counter() - began
        return load

    async def _send(self, waiting: Iterator[bytes], load: Load, until: float) -> None:
        connection = Connection(*await asyncio.open_connection(self._address.hostname, self._address.port))
        for request in waiting:
            began = time.perf_counter()
            load.seconds[await connection.ask(request)].append(time.perf_counter() - began)
            if time.perf_counter() > until:
                break
        await connection.close()


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with serving(Path(folder)) as served:
            one, another = Bench(served.client(subject="one")), Bench(served.client(subject="another"))
            client = served.client()
            limit = await one.load(repeat(one.nothing()))
            starts = await one.load(await prepared(one, client))
            await all_ring(client)
            newest = (await client.ask("{ transfers(first: 1) { nodes { id } } }"))["transfers"]["nodes"][0]["id"]
            reads = await one.load(repeat(one.post(READ, id=newest)))
            async with asyncio.TaskGroup() as tasks:
                pages = tasks.create_task(one.load(repeat(one.post(PAGE))))
                meanwhile = tasks.create_task(another.load(repeat(another.post(READ, id=newest)), 1))
    rate = len(limit.seconds[ANSWERED]) / limit.lasted
    rows = [
        limit.row("/healthz", ANSWERED, rate),
        reads.row("reads of a transfer", ANSWERED, rate),
        starts.row("starts of a transfer", ANSWERED, rate),
        pages.result().row("pages of 100 with their calls, beyond the budget", ANSWERED, rate),
        pages.result().row("the same", THROTTLED, rate),
        meanwhile.result().row("reads by another meanwhile, on one connection", ANSWERED, rate),
    ]
    show(("what", "outcome", "a second", "of /healthz", "p50", "p99"), rows)


async def prepared(bench: Bench, client: Client) -> list[bytes]:
    """Return requests that start a transfer, each with a call of its own."""
    talks = [await Desk(client).talk(f"+1555{n:07}") for n in range(STARTS)]
    given = {"type": "ATTENDED", "transfereeAddresses": [tel("+15558000103")], "ringTimeout": 600}
    return [bench.post(STARTED, input={**given, "transfererCallId": talk.agent}) for talk in talks]


async def all_ring(client: Client) -> None:
    """Wait until every started transfer rings: before that, the background work would slow down the reads."""
    async with client.follow("subscription { transferEvents { id } }") as events:
        while (await client.ask("{ transfers(filter: {statuses: [STARTING]}) { totalCount } }"))["transfers"][
            "totalCount"
        ]:
            await anext(events)


if __name__ == "__main__":
    asyncio.run(main())
