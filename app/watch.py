"""Follows a running server's transfers in the terminal: a table that updates, and resumes where it was cut off."""

import asyncio
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

import httpx
import orjson
from rich.console import Console
from rich.live import Live
from rich.table import Table
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

ROWS = 20
TRIES = 20
PAUSE = (0.5, 1.5)
"""Seconds, between these, after a stream was cut: not every watcher is to come back at once."""
LATER = {"THROTTLED", "SERVICE_UNAVAILABLE"}
"""Codes of what is worth another try."""

FIELDS = "id type status outcomeReason speakingTo transfereeAddresses { target } tmCreate tmUpdate version"
PAGE = f"{{ transfers(first: {ROWS}) {{ eventCursor nodes {{ {FIELDS} }} }} }}"
EVENTS = f"subscription ($after: String) {{ transferEvents(after: $after) {{ cursor transfer {{ {FIELDS} }} }} }}"

TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]+")
"""Of what a bearer token may be made (RFC 6750)."""

Json = dict[str, Any]
Sleep = Callable[[float], Awaitable[None]]


class NoToken(Exception):
    """It can't be sent."""


class Unreachable(Exception):
    """The server does not answer, or does not want to."""


class Busy(Unreachable):
    """For now: it may answer later."""


class Transfers:
    """The newest transfers, by id; of two states the higher version is the newer.

    Those that have left the table are forgotten: one that has not ended yet comes back with its next event, and leaves.
    """

    def __init__(self) -> None:
        self._known: dict[str, Json] = {}

    def see(self, transfer: Json) -> None:
        known = self._known.get(transfer["id"])
        if known is None or known["version"] <= transfer["version"]:
            self._known[transfer["id"]] = transfer
        if len(self._known) > ROWS:
            del self._known[self.newest()[-1]["id"]]

    def newest(self) -> list[Json]:
        return sorted(self._known.values(), key=lambda one: str(one["tmCreate"]), reverse=True)

    def table(self) -> Table:
        table = Table("Started", "Type", "To", "Status", "Why", "Speaking to", "Transfer")
        for one in self.newest():
            to = ", ".join(address["target"] for address in one["transfereeAddresses"])
            why = one["outcomeReason"] or ""
            table.add_row(one["tmCreate"][11:19], one["type"], to, one["status"], why, one["speakingTo"], one["id"][:8])
        return table


class Server:
    """The one that is asked. `sleep` is what it waits by."""

    def __init__(self, client: httpx.AsyncClient, url: str, sleep: Sleep = asyncio.sleep) -> None:
        self._client = client
        self._url = url
        self._sleep = sleep

    async def first_page(self) -> Json:
        try:
            answer = await self._client.post(self._url, json={"query": PAGE}, timeout=10)
            self._check(answer)
            return dict(_data(answer.json())["transfers"])
        except (httpx.HTTPError, ValueError) as error:
            raise self._silent(error) from error

    async def events(self, cursor: str) -> AsyncIterator[Json]:
        """Until the stream is cut. Raises Unreachable, once it could not be opened for some time."""
        stream = await self._patiently(cursor)
        try:
            with suppress(Busy, httpx.TransportError):
                async for line in stream.aiter_lines():
                    if line.startswith("data:") and line[5:].strip():
                        yield _data(orjson.loads(line[5:]))["transferEvents"]
        finally:
            await stream.aclose()

    async def pause(self) -> None:
        await self._sleep(random.uniform(*PAUSE))

    async def _patiently(self, cursor: str) -> httpx.Response:
        retrying = AsyncRetrying(
            sleep=self._sleep,
            retry=retry_if_exception_type(Busy),
            wait=wait_exponential_jitter(max=5),
            stop=stop_after_attempt(TRIES),
            reraise=True,
        )
        return await retrying(self._open, cursor)

    async def _open(self, cursor: str) -> httpx.Response:
        body = {"query": EVENTS, "variables": {"after": cursor}}
        request = self._client.build_request("POST", self._url, json=body, headers={"Accept": "text/event-stream"})
        try:
            stream = await self._client.send(request, stream=True)
            if not stream.is_success:
                await stream.aread()
        except httpx.TransportError as error:
            raise self._silent(error) from error
        self._check(stream)
        return stream

    def _check(self, answer: httpx.Response) -> None:
        if not answer.is_success:
            is_passing = answer.status_code == 429 or answer.status_code >= 500
            raise (Busy if is_passing else Unreachable)(f"{self._url} refuses: {_why(answer)}")

    def _silent(self, error: Exception) -> Busy:
        return Busy(f"{self._url} does not answer: {error or type(error).__name__}")


async def watch_transfers(url: str, token: str, console: Console) -> None:
    """Until it is interrupted. Raises Unreachable when it is refused, or the server can't be reached for some time.

    And NoToken, which does not show what was given in its place: it may be one, and a line too many.
    """
    if not TOKEN.fullmatch(token):
        raise NoToken("the token is none: it may have letters, digits and -._~+/= alone")
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=None) as client:
        await watch_server(Server(client, url), Transfers(), console)


async def watch_server(server: Server, transfers: Transfers, console: Console) -> None:
    page = await server.first_page()
    for transfer in page["nodes"]:
        transfers.see(transfer)
    cursor = str(page["eventCursor"])
    with Live(transfers.table(), console=console, auto_refresh=False) as live:
        while True:
            cursor = await _follow(server, transfers, cursor, live)
            await server.pause()


async def _follow(server: Server, transfers: Transfers, cursor: str, live: Live) -> str:
    """Until the stream is cut: then the cursor to go on from."""
    live.update(transfers.table(), refresh=True)
    async for event in server.events(cursor):
        transfers.see(event["transfer"])
        cursor = event["cursor"]
        live.update(transfers.table(), refresh=True)
    return cursor


def _why(answer: httpx.Response) -> str:
    """As this server says it; a proxy before it may have its own way."""
    with suppress(ValueError, LookupError, TypeError):
        return str(answer.json()["errors"][0]["message"])
    return f"HTTP {answer.status_code}"


def _data(answer: Json) -> Json:
    if answer.get("errors"):
        first = answer["errors"][0]
        is_passing = first.get("extensions", {}).get("code") in LATER
        raise (Busy if is_passing else Unreachable)(str(first["message"]))
    return dict(answer["data"])
