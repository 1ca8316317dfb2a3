"""`transfers watch`: a live table of transfers in the terminal. After a lost connection it resumes without gaps."""

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
"""Least and most seconds to wait after a lost stream. The time is random, so that watchers don't all return at once."""
SILENCE = httpx.Timeout(10, read=40)
"""Idle timeout of a stream, in seconds. The server sends a keep-alive every 12 seconds."""
LATER = {"THROTTLED", "SERVICE_UNAVAILABLE"}
"""Error codes after which a retry can succeed."""

FIELDS = "id type status outcomeReason speakingTo transfereeAddresses { target } tmCreate tmUpdate version"
PAGE = f"{{ transfers(first: {ROWS}) {{ eventCursor nodes {{ {FIELDS} }} }} }}"
EVENTS = f"subscription ($after: String) {{ transferEvents(after: $after) {{ cursor transfer {{ {FIELDS} }} }} }}"

TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]+")
"""The syntax of a bearer token (RFC 6750)."""

Json = dict[str, Any]
Sleep = Callable[[float], Awaitable[None]]
Tell = Callable[[BaseException | None], None]
"""Called with the error before each retry, and with None when the stream is open."""


class NoToken(Exception):
    """Raised when there is no token, or the token is not valid in a header."""


class Unreachable(Exception):
    """Raised when the server does not answer, or refuses the request."""


class Busy(Unreachable):
    """Raised when a retry can succeed."""


class NewestTransfers:
    """The newest transfers. Of two states of a transfer, the one with the higher version is kept.

    Older transfers are dropped. When such a transfer has another event, it is added and dropped again.
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


class RemoteServer:
    """A client of the server that is watched. `sleep` replaces asyncio.sleep in tests."""

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
        """Yield events until the stream is lost. Raise Unreachable when all tries to open it have failed."""
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
            raise (Busy if is_passing else Unreachable)(f"{self._url} refused the request: {_why(answer)}")


class Board:
    """The screen: the state of the connection, and the table. It is redrawn when the terminal changes its size."""

    def __init__(self, url: str, console: Console, clock: Clock = utc_now) -> None:
        self.transfers = NewestTransfers()
        self._url = url
        self._clock = clock
        self._console = console
        self._away_since = ""
        self._state = f"Live from {url}"
        # Use the alternate screen: after a change of width, rows that the terminal has wrapped can't be overwritten.
        self._live = Live(console=console, screen=True, auto_refresh=False, get_renderable=self.shown)

    def __enter__(self) -> Self:
        asyncio.get_running_loop().add_signal_handler(signal.SIGWINCH, self.draw)
        self._live.start(refresh=True)
        return self

    def __exit__(self, *_: object) -> None:
        """Print the last state, which stays in the terminal."""
        asyncio.get_running_loop().remove_signal_handler(signal.SIGWINCH)
        self._live.stop()
        self._console.print(self.shown())

    def draw(self) -> None:
        self._live.refresh()

    def tell(self, trouble: BaseException | None) -> None:
        now = f"{self._clock():%H:%M:%S} UTC"
        if trouble:
            self._away_since = self._away_since or now
            self._state = f"No connection since {self._away_since}, retrying: {trouble}"
        elif self._away_since:
            self._away_since = ""
            self._state = f"Live from {self._url}, reconnected at {now}"
        self.draw()

    def shown(self) -> RenderableType:
        state = Text(self._state, style="bold red" if self._away_since else "dim")
        hint = [] if self.transfers.newest() else [Text(self._hint())]
        return Group(state, self.transfers.table(), *hint)

    def _hint(self) -> str:
        page = httpx.URL(self._url).join("graphiql")
        return f"No transfers yet. Start one, for example in {page}, and it appears here."


async def watch_transfers(url: str, token: str | None, console: Console) -> None:
    """Show transfers until the task is cancelled. Raise Unreachable when the server refuses or all retries fail.

    Raise NoToken when the token is malformed. Its message leaves the token out, because it can still be a secret.
    """
    async with httpx.AsyncClient(timeout=10) as client:
        token = await demo_token(client, url) if token is None else token
        if not TOKEN.fullmatch(token):
            raise NoToken("the token is malformed: it can only have letters, digits and -._~+/=")
        client.headers["Authorization"] = f"Bearer {token}"
        await watch_server(RemoteServer(client, url), Board(url, console))


async def demo_token(client: httpx.AsyncClient, url: str) -> str:
    """Return the token that a demo server gives to its GraphiQL page. Raise NoToken when the server is not a demo."""
    try:
        answer = await client.get(httpx.URL(url).join("graphiql/session.json"))
        return str(answer.json()["headers"]["Authorization"]).removeprefix("Bearer ")
    except (httpx.TransportError, httpx.InvalidURL) as error:
        raise Unreachable(_silent(url, error)) from error
    except (ValueError, LookupError, TypeError) as error:
        how = "run `transfers token --customer UUID` on the server's machine"
        raise NoToken(f"{url} is not a demo, so it needs --token (or TRANSFERS_TOKEN). To get one, {how}") from error


async def watch_server(server: RemoteServer, board: Board) -> None:
    page = await server.first_page()
    for transfer in page["nodes"]:
        board.transfers.see(transfer)
    cursor = str(page["eventCursor"])
    with board:
        while True:
            cursor = await _follow(server, board, cursor)
            await server.pause()


async def _follow(server: RemoteServer, board: Board, cursor: str) -> str:
    """Show events until the stream is lost. Return the cursor to resume from."""
    async for event in server.events(cursor, board.tell):
        board.transfers.see(event["transfer"])
        cursor = event["cursor"]
        board.draw()
    return cursor


def _silent(url: str, error: Exception) -> str:
    return f"{url} does not answer: {error or type(error).__name__}"


def _why(answer: httpx.Response) -> str:
    """Return the server's error message. An answer of a proxy may have none: then return its status."""
    with suppress(ValueError, LookupError, TypeError):
        return str(answer.json()["errors"][0]["message"])
    return f"HTTP {answer.status_code}"


def _data(answer: Json) -> Json:
    if answer.get("errors"):
        first = answer["errors"][0]
        is_passing = first.get("extensions", {}).get("code") in LATER
        raise (Busy if is_passing else Unreachable)(str(first["message"]))
    return dict(answer["data"])
