"""`transfers watch`: the table, the state of the connection, and retries."""

import asyncio
import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from rich.console import Console

from app.watch import (
    ROWS,
    TRIES,
    Board,
    Json,
    NewestTransfers,
    NoToken,
    RemoteServer,
    Unreachable,
    demo_token,
    watch_server,
    watch_transfers,
)
from tests.inside import inside, settings_in

URL = "http://transfers.example/graphql"
SESSION_URL = "http://transfers.example/graphiql/session.json"
PAGE = {"data": {"transfers": {"eventCursor": "0", "nodes": []}}}


class Over(Exception):
    """Raised to end a test when all its responses are used."""


def transfer(number: int, status: str = "COMPLETED") -> Json:
    told: Json = {name: status for name in ("type", "status", "outcomeReason", "speakingTo")}
    made = f"2025-01-01T00:{number // 60:02}:{number % 60:02}Z"
    return told | {"id": f"{number}", "transfereeAddresses": [], "tmCreate": made, "version": 1}


def refused(status: int, message: str) -> httpx.Response:
    return httpx.Response(status, json={"errors": [{"message": message}]})


def told(*events: Json) -> httpx.Response:
    body = b"".join(b"event: next\ndata: %b\n\n" % orjson.dumps(event) for event in events)
    return httpx.Response(200, content=body, headers={"content-type": "text/event-stream"})


def event(number: int) -> Json:
    return {"data": {"transferEvents": {"cursor": str(number), "transfer": transfer(number)}}}


class Screen(StringIO):
    """A stream that sets an event at each write."""

    def __init__(self) -> None:
        super().__init__()
        self.written = asyncio.Event()

    def write(self, text: str) -> int:
        self.written.set()
        return super().write(text)


class Watcher:
    """A watcher whose requests get an empty first page, then these responses, then the exception Over."""

    def __init__(self, *streams: httpx.Response | Exception) -> None:
        self._streams = list(streams)
        self.asked: list[str] = []
        self.paused: list[float] = []
        self.screen = Screen()

    def answer(self, request: httpx.Request) -> httpx.Response:
        if "variables" not in (body := orjson.loads(request.content)):
            return httpx.Response(200, json=PAGE)
        self.asked.append(body["variables"]["after"])
        if not self._streams:
            raise Over
        answer = self._streams.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def sleep(self, seconds: float) -> None:
        self.paused.append(seconds)

    async def watch(self, answer: Callable[[httpx.Request], httpx.Response] | None = None) -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer or self.answer)) as client:
            await watch_server(RemoteServer(client, URL, self.sleep), self.board())

    def board(self) -> Board:
        console = Console(file=self.screen, force_terminal=True, color_system=None, width=120, height=30)
        return Board(URL, console, lambda: datetime(2025, 1, 1, 9, 30, tzinfo=UTC))


@pytest.mark.parametrize("status", [400, 401, 403])
async def test_who_is_refused_is_told_so_at_once(status: int) -> None:
    watcher = Watcher(refused(status, "The token has expired"))
    with pytest.raises(Unreachable, match=f"{URL} refused the request: The token has expired"):
        await watcher.watch()
    assert len(watcher.asked) == 1


@pytest.mark.parametrize(
    "answer", [refused(429, "Too many connections"), httpx.Response(503, text="from a proxy"), httpx.ConnectError("")]
)
async def test_a_server_that_has_enough_to_do_is_asked_again_after_growing_pauses(answer: Any) -> None:
    watcher = Watcher(*[answer] * (TRIES + 1))
    with pytest.raises(Unreachable):
        await watcher.watch()
    assert (len(watcher.asked), len(watcher.paused)) == (TRIES, TRIES - 1)
    assert min(watcher.paused) >= 1
    assert watcher.paused[4] > watcher.paused[0]


async def test_a_stream_that_is_cut_goes_on_after_a_pause_from_where_it_was() -> None:
    watcher = Watcher(told(event(1), event(2)), told(), told(event(3)))
    with pytest.raises(Over):
        await watcher.watch()
    assert watcher.asked == ["0", "2", "2", "3"]
    assert [pause >= 0.5 for pause in watcher.paused] == [True] * 3


@pytest.mark.parametrize("code", ["THROTTLED", "SERVICE_UNAVAILABLE"])
async def test_what_is_refused_for_now_within_a_stream_is_asked_again_after_a_pause(code: str) -> None:
    later = {"errors": [{"message": "Try again", "extensions": {"code": code}}]}
    watcher = Watcher(told(later), told(event(1)))
    with pytest.raises(Over):
        await watcher.watch()
    assert (watcher.asked, len(watcher.paused)) == (["0", "0", "1"], 2)


async def test_what_is_refused_for_good_within_a_stream_is_told() -> None:
    watcher = Watcher(told({"errors": [{"message": "Token expired", "extensions": {"code": "UNAUTHENTICATED"}}]}))
    with pytest.raises(Unreachable, match="Token expired"):
        await watcher.watch()


async def test_the_first_page_is_refused_in_the_servers_words() -> None:
    with pytest.raises(Unreachable, match=f"{URL} refused the request: A bearer token is missing"):
        await Watcher().watch(lambda request: refused(401, "A bearer token is missing"))


def test_transfers_that_have_left_the_table_are_forgotten() -> None:
    transfers = NewestTransfers()
    for number in range(3 * ROWS):
        transfers.see(transfer(number))
    assert [one["id"] for one in transfers.newest()] == [f"{3 * ROWS - 1 - row}" for row in range(ROWS)]


async def test_a_server_that_is_away_is_told_and_so_is_its_return() -> None:
    watcher = Watcher(httpx.ConnectError("refused"), refused(503, "Stopping"), told(event(1)))
    with pytest.raises(Over):
        await watcher.watch()
    shown = watcher.screen.getvalue()
    states = [
        f"Live from {URL}",
        f"No connection since 09:30:00 UTC, retrying: {URL} does not answer: refused",
        f"No connection since 09:30:00 UTC, retrying: {URL} refused the request: Stopping",
        f"Live from {URL}, reconnected at 09:30:00 UTC",
    ]
    places = [shown.find(state) for state in states]
    assert -1 not in places
    assert places == sorted(places)


async def test_an_empty_table_says_how_to_fill_it_and_a_full_one_does_not() -> None:
    board = (watcher := Watcher()).board()
    with board:
        assert "Start one, for example in http://transfers.example/graphiql" in watcher.screen.getvalue()
        watcher.screen.truncate(0)
        board.transfers.see(transfer(1))
        board.draw()
        assert "No transfers yet" not in watcher.screen.getvalue()


async def test_times_name_their_zone() -> None:
    with (watcher := Watcher()).board():
        assert "Started (UTC)" in watcher.screen.getvalue()


async def test_the_table_is_drawn_anew_when_the_terminal_changes_its_size() -> None:
    with (watcher := Watcher()).board():
        before = watcher.screen.tell()
        watcher.screen.written.clear()
        os.kill(os.getpid(), signal.SIGWINCH)
        async with asyncio.timeout(10):
            await watcher.screen.written.wait()
        assert "Started (UTC)" in watcher.screen.getvalue()[before:]


async def test_a_demo_gives_its_token() -> None:
    session = {"headers": {"Authorization": "Bearer abc.def"}}
    transport = httpx.MockTransport(lambda request: httpx.Response(200, json={str(request.url): session}[SESSION_URL]))
    async with httpx.AsyncClient(transport=transport) as client:
        assert await demo_token(client, URL) == "abc.def"


@pytest.mark.parametrize("graphiql", [True, False])
async def test_another_server_does_not_and_one_is_told_how_to_get_one(tmp_path: Path, graphiql: bool) -> None:
    async with inside(settings_in(tmp_path, graphiql=graphiql)) as served:
        with pytest.raises(NoToken, match=f"{served.url}/graphql is not a demo.*`transfers token --customer UUID`"):
            await watch_transfers(f"{served.url}/graphql", None, Console(file=StringIO()))


@pytest.mark.parametrize("url", ["http://[", "nonsense", "ws://127.0.0.1/graphql", "http://127.0.0.1:1/graphql"])
@pytest.mark.parametrize("token", ["abc", None])
async def test_an_address_where_no_server_is(url: str, token: str | None) -> None:
    with pytest.raises(Unreachable, match="does not answer: "):
        await watch_transfers(url, token, Console(file=StringIO()))


async def test_a_narrow_terminal_shows_whole_numbers() -> None:
    output = StringIO()
    transfers = NewestTransfers()
    transfers.see(transfer(1, "TRANSFERRING") | {"transfereeAddresses": [{"target": "+12025550100"}]})
    Console(file=output, width=80).print(transfers.table())
    lines = output.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert "".join(line.split("│")[3].strip() for line in lines if line.count("│") > 6) == "+12025550100"
