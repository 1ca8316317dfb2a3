"""Follows a running server's transfers in the terminal: a table that updates, and resumes where it was cut off."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import orjson
from rich.console import Console
from rich.live import Live
from rich.table import Table
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

ROWS = 20

FIELDS = "id type status outcomeReason speakingTo transfereeAddresses { target } tmCreate tmUpdate version"
PAGE = f"{{ transfers(first: {ROWS}) {{ eventCursor nodes {{ {FIELDS} }} }} }}"
EVENTS = f"subscription ($after: String) {{ transferEvents(after: $after) {{ cursor transfer {{ {FIELDS} }} }} }}"

Json = dict[str, Any]


class Unreachable(Exception):
    """The server does not answer, or does not want to."""


class Transfers:
    """The newest transfers, by id; of two states the higher version is the newer."""

    def __init__(self) -> None:
        self._known: dict[str, Json] = {}

    def see(self, transfer: Json) -> None:
        known = self._known.get(transfer["id"])
        if known is None or known["version"] <= transfer["version"]:
            self._known[transfer["id"]] = transfer

    def table(self) -> Table:
        table = Table("Started", "Type", "To", "Status", "Why", "Speaking to", "Transfer")
        newest = sorted(self._known.values(), key=lambda one: str(one["tmCreate"]), reverse=True)
        for one in newest[:ROWS]:
            to = ", ".join(address["target"] for address in one["transfereeAddresses"])
            why = one["outcomeReason"] or ""
            table.add_row(one["tmCreate"][11:19], one["type"], to, one["status"], why, one["speakingTo"], one["id"][:8])
        return table


async def watch_transfers(url: str, token: str, console: Console) -> None:
    """Until it is interrupted. Raises Unreachable when the server can't be reached for some time."""
    transfers = Transfers()
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=None) as client:
        cursor = await _first_page(client, url, transfers)
        with Live(transfers.table(), console=console, auto_refresh=False) as live:
            while True:
                cursor = await _follow(client, url, transfers, cursor, live)


async def _follow(client: httpx.AsyncClient, url: str, transfers: Transfers, cursor: str, live: Live) -> str:
    """Until the stream is cut: then the cursor to go on from."""
    live.update(transfers.table(), refresh=True)
    try:
        async for event in _events(client, url, cursor):
            transfers.see(event["transfer"])
            cursor = event["cursor"]
            live.update(transfers.table(), refresh=True)
    except httpx.TransportError:
        await _reachable(client, url)
    return cursor


async def _first_page(client: httpx.AsyncClient, url: str, transfers: Transfers) -> str:
    page = (await _ask(client, url, PAGE))["transfers"]
    for transfer in page["nodes"]:
        transfers.see(transfer)
    return str(page["eventCursor"])


async def _events(client: httpx.AsyncClient, url: str, cursor: str) -> AsyncIterator[Json]:
    body = {"query": EVENTS, "variables": {"after": cursor}}
    async with client.stream("POST", url, json=body, headers={"Accept": "text/event-stream"}) as stream:
        async for line in stream.aiter_lines():
            if line.startswith("data:") and line[5:].strip():
                yield _data(orjson.loads(line[5:]))["transferEvents"]


async def _reachable(client: httpx.AsyncClient, url: str) -> None:
    """Once the server answers again."""
    retrying = AsyncRetrying(
        retry=retry_if_exception_type(Unreachable),
        wait=wait_exponential_jitter(max=5),
        stop=stop_after_attempt(20),
        reraise=True,
    )
    await retrying(_ask, client, url, "{ viewer { now } }")


async def _ask(client: httpx.AsyncClient, url: str, query: str) -> Json:
    try:
        answer = await client.post(url, json={"query": query}, timeout=10)
        return _data(answer.json())
    except (httpx.HTTPError, ValueError) as error:
        raise Unreachable(f"{url} does not answer: {error or type(error).__name__}") from error


def _data(answer: Json) -> Json:
    if answer.get("errors"):
        raise Unreachable(str(answer["errors"][0]["message"]))
    return dict(answer["data"])
