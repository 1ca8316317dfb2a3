"""Logs and metrics never contain what clients send, whatever they send."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from re import search

import httpx
import pytest
import pytest_asyncio
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.serving import TLS, Failed, Json, Served, send, serving
from tests.stories.desk import Desk, Refused

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

NOTE, METADATA, BAD_TOKEN = "secret-note", "secret-metadata", "secret-token.e30.x"
PROTOCOL = Subprotocol("graphql-transport-ws")


@dataclass(frozen=True)
class Told:
    lines: list[Json]
    text: str
    page: str
    token: str
    transfer_id: str


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def told(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Told]:
    """The log and the metrics of a server that has stopped."""
    folder: Path = tmp_path_factory.mktemp("discreet")
    async with serving(folder, log_format="json", log_level="DEBUG", simulator_pace=20) as served:
        desk = Desk(served.client())
        metadata = [{"key": METADATA, "value": METADATA}]
        transfer = await desk.start(await desk.talk(), "0101", note=NOTE, metadata=metadata)
        await desk.until(transfer, "CONSULTING")
        await desk.tell(transfer, "update", note=NOTE + "2", metadata=metadata)
        await desk.tell(transfer, "cancel")
        await desk.until_ended(transfer)
        with pytest.raises(Refused):
            await desk.tell(transfer, "merge")
        await blunder(served, desk, transfer)
        async with httpx.AsyncClient(verify=TLS) as http:
            page = (await http.get(f"{served.url}/metrics")).text
    text = served.log.read_text()
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    yield Told(lines, text, page, desk.client.token, transfer["id"])


async def blunder(served: Served, desk: Desk, transfer: Json) -> None:
    """Cause errors of every kind. Each of them could quote the note or a token."""
    for query in (
        f'mutation {{ updateTransfer(note: "{NOTE}"',
        f'mutation {{ updateTransfer(note: "{NOTE}") {{ nothing }} }}',
        f'mutation {{ updateTransfer(input: {{transferId: "{NOTE}", note: "{NOTE * 5000}"}}) {{ __typename }} }}',
        f'{{ call(id: "{NOTE}") {{ id }} calls(after: "{NOTE}") {{ totalCount }} }}',
    ):
        with pytest.raises(Failed):
            await desk.client.ask(query)
    with pytest.raises(Failed):
        await desk.client.ask("query ($n: Int!) { calls(first: $n) { totalCount } }", n=NOTE)
    async with httpx.AsyncClient(verify=TLS) as http:
        headers = {"Authorization": f"Bearer {BAD_TOKEN}"}
        await http.post(desk.client.url, json={"query": NOTE}, headers=headers)
        headers = {"Authorization": f"Bearer {desk.client.token}"}
        await http.get(desk.client.url, params={"query": NOTE}, headers=headers)
        await http.post(desk.client.url, content=NOTE, headers=headers)
    await blunder_on_a_socket(served, desk)


async def blunder_on_a_socket(served: Served, desk: Desk) -> None:
    url = f"{served.url.replace('http', 'ws', 1)}/graphql"
    async with connect(url, subprotocols=[PROTOCOL]) as websocket:
        await send(websocket, type="connection_init", payload={"Authorization": f"Bearer {BAD_TOKEN}"})
        with pytest.raises(ConnectionClosed):
            await websocket.recv()
    async with desk.client.socket() as websocket:
        await send(websocket, id=NOTE, type="subscribe", payload={"query": f'subscription {{ x(note: "{NOTE}") }}'})
        await websocket.recv()
        await websocket.send(NOTE)
        with pytest.raises(ConnectionClosed):
            await websocket.recv()


async def test_no_line_carries_a_token_a_note_or_metadata(told: Told) -> None:
    for secret in (NOTE, METADATA, "secret-token", *told.token.split(".")[1:]):
        assert secret not in told.text


async def test_every_line_is_json_with_a_level(told: Told) -> None:
    assert [line for line in told.text.splitlines() if not line.startswith("{")] == [told.text.splitlines()[0]]
    assert {line["level"] for line in told.lines} <= {"debug", "info"}


async def test_every_operation_has_one_line_with_its_ids(told: Told) -> None:
    operations = [line for line in told.lines if line["event"] == "operation"]
    assert all({"request_id", "customer_id", "operation", "outcome", "ms"} <= set(line) for line in operations)
    assert len({line["request_id"] for line in operations}) == len(operations)


async def test_a_transfer_can_be_followed_through_the_log(told: Told) -> None:
    about = [line for line in told.lines if line.get("transfer_id") == told.transfer_id]
    statuses = [line["event"] for line in about if line["event"].startswith("transfer is")]
    assert statuses == [f"transfer is {one}" for one in ("STARTING", "RINGING", "CONSULTING", "ENDING", "CANCELLED")]
    commands = [line for line in about if line["event"] == "operation"]
    assert {line["request_id"] for line in about if line["event"] == "transfer is STARTING"} <= {
        line["request_id"] for line in commands
    }


async def test_what_clients_do_wrong_is_told_at_info(told: Told) -> None:
    outcomes = {line["outcome"] for line in told.lines if "outcome" in line and "transfer is" not in line["event"]}
    assert {"ok", "GRAPHQL_PARSE_FAILED", "GRAPHQL_VALIDATION_FAILED", "BAD_USER_INPUT", "UNAUTHENTICATED"} <= outcomes
    assert "INTERNAL_SERVER_ERROR" not in outcomes


async def test_the_figures_name_nobody(told: Told) -> None:
    assert 'transfers_ended_total{outcome="CANCELLED",reason="COMMAND",type="ATTENDED"} 1.0' in told.page
    assert not search(r"[0-9a-f]{8}-[0-9a-f]{4}", told.page)
    assert "secret" not in told.page
