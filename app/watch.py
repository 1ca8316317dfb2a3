"""Follows a running server's transfers in the terminal: a table that updates, and resumes where it was cut off."""

import asyncio
import random
import re
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any, Self

import httpx
import orjson
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Column, Table
from rich.text import Text
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from app.ports import Clock, utc_now

ROWS = 20
TRIES = 20
PAUSE = (0.5, 1.5)
"""Seconds, between these, after a stream was cut: not every watcher is to come back at once."""
SILENCE = httpx.Timeout(10, read=40)
"""Seconds after which a stream is taken for cut. The server sends a sign of life every 12 seconds."""
LATER = {"THROTTLED", "SERVICE_UNAVAILABLE"}
"""Codes of what is worth another try."""

FIELDS = "id type status outcomeReason speakingTo transfereeAddresses { target } tmCreate tmUpdate version"
PAGE = f"{{ transfers(first: {ROWS}) {{ eventCursor nodes {{ {FIELDS} }} }} }}"
EVENTS = f"subscription ($after: String) {{ transferEvents(after: $after) {{ cursor transfer {{ {FIELDS} }} }} }}"

TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]+")
"""Of what a bearer token may be made (RFC 6750)."""

Json = dict[str, Any]
Sleep = Callable[[float], Awaitable[None]]
Tell = Callable[[BaseException | None], None]
"""Called with the reason when the server can't be reached, before each further try, and with None once it can."""


class NoToken(Exception):
    """There is no token, or it can't be sent."""


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
        table = Table(
            "Started (UTC)", "Type", Column("To", overflow="fold"), "Status", "Why", "Speaking to", "Transfer"
        )
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
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise Busy(_silent(self._url, error)) from error

    async def events(self, cursor: str, tell: Tell) -> AsyncIterator[Json]:
        """Until the stream is cut. Raises Unreachable, once it could not be opened for some time."""
        stream = await self._patiently(cursor, tell)
        tell(None)
        try:
            with suppress(Busy, httpx.TransportError):
                async for line in stream.aiter_lines():
                    if line.startswith("data:") and line[5:].strip():
                        yield _data(orjson.loads(line[5:]))["transferEvents"]
        finally:
            await stream.aclose()

    async def pause(self) -> None:
        await self._sleep(random.uniform(*PAUSE))

    async def _patiently(self, cursor: str, tell: Tell) -> httpx.Response:
        def tell_why(state: RetryCallState) -> None:
            if state.outcome:
                tell(state.outcome.exception())

        retrying = AsyncRetrying(
            sleep=self._sleep,
            retry=retry_if_exception_type(Busy),
            wait=wait_exponential_jitter(max=5),
            stop=stop_after_attempt(TRIES),
            before_sleep=tell_why,
            reraise=True,
        )
        return await retrying(self._open, cursor)

    async def _open(self, cursor: str) -> httpx.Response:
        body = {"query": EVENTS, "variables": {"after": cursor}}
        headers = {"Accept": "text/event-stream"}
        request = self._client.build_request("POST", self._url, json=body, headers=headers, timeout=SILENCE)
        try:
            stream = await self._client.send(request, stream=True)
            if not stream.is_success:
                await stream.aread()
        except httpx.TransportError as error:
            raise Busy(_silent(self._url, error)) from error
        self._check(stream)
        return stream

    def _check(self, answer: httpx.Response) -> None:
        if not answer.is_success:
            is_passing = answer.status_code == 429 or answer.status_code >= 500
            raise (Busy if is_passing else Unreachable)(f"{self._url} refuses: {_why(answer)}")


class Board:
    """What the terminal shows: how the server is, and the table. A terminal that changes its size is drawn anew."""

    def __init__(self, url: str, console: Console, clock: Clock = utc_now) -> None:
        self.transfers = Transfers()
        self._url = url
        self._clock = clock
        self._console = console
        self._away_since = ""
        self._state = f"Live from {url}"
        # On a screen of its own: the rows that a terminal has wrapped at a new width can't be drawn over.
        self._live = Live(console=console, screen=True, auto_refresh=False, get_renderable=self.shown)

    def __enter__(self) -> Self:
        asyncio.get_running_loop().add_signal_handler(signal.SIGWINCH, self.draw)
        self._live.start(refresh=True)
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the last state in the terminal."""
        asyncio.get_running_loop().remove_signal_handler(signal.SIGWINCH)
        self._live.stop()
        self._console.print(self.shown())

    def draw(self) -> None:
        self._live.refresh()

    def tell(self, trouble: BaseException | None) -> None:
        now = f"{self._clock():%H:%M:%S} UTC"
        if trouble:
            self._away_since = self._away_since or now
            self._state = f"Away since {self._away_since}, trying again: {trouble}"
        elif self._away_since:
            self._away_since = ""
            self._state = f"Live from {self._url}, again since {now}"
        self.draw()

    def shown(self) -> RenderableType:
        state = Text(self._state, style="bold red" if self._away_since else "dim")
        hint = [] if self.transfers.newest() else [Text(self._hint())]
        return Group(state, self.transfers.table(), *hint)

    def _hint(self) -> str:
        page = httpx.URL(self._url).join("graphiql")
        return f"No transfers yet. Start one, in {page} for example, and it shows here at once."


async def watch_transfers(url: str, token: str | None, console: Console) -> None:
    """Until it is interrupted. Raises Unreachable when it is refused, or the server can't be reached for some time.

    And NoToken, which does not show what was given in its place: it may be one, and a line too many.
    """
    async with httpx.AsyncClient(timeout=10) as client:
        token = await demo_token(client, url) if token is None else token
        if not TOKEN.fullmatch(token):
            raise NoToken("the token is none: it may have letters, digits and -._~+/= alone")
        client.headers["Authorization"] = f"Bearer {token}"
        await watch_server(Server(client, url), Board(url, console))


async def demo_token(client: httpx.AsyncClient, url: str) -> str:
    """Ask for the token that a demo gives to its own page. Raises NoToken when the server is no demo."""
    try:
        answer = await client.get(httpx.URL(url).join("graphiql/session.json"))
        return str(answer.json()["headers"]["Authorization"]).removeprefix("Bearer ")
    except (httpx.TransportError, httpx.InvalidURL) as error:
        raise Unreachable(_silent(url, error)) from error
    except (ValueError, LookupError, TypeError) as error:
        how = "where it runs, `transfers token --customer UUID` prints one"
        raise NoToken(f"{url} is no demo, so --token (or TRANSFERS_TOKEN) is needed: {how}") from error


async def watch_server(server: Server, board: Board) -> None:
    page = await server.first_page()
    for transfer in page["nodes"]:
        board.transfers.see(transfer)
    cursor = str(page["eventCursor"])
    with board:
        while True:
            cursor = await _follow(server, board, cursor)
            await server.pause()


async def _follow(server: Server, board: Board, cursor: str) -> str:
    """Until the stream is cut: then the cursor to go on from."""
    async for event in server.events(cursor, board.tell):
        board.transfers.see(event["transfer"])
        cursor = event["cursor"]
        board.draw()
    return cursor


def _silent(url: str, error: Exception) -> str:
    return f"{url} does not answer: {error or type(error).__name__}"


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
