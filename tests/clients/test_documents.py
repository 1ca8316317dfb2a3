"""Trusted documents: a client runs them by the hash of their text."""

import httpx
import orjson
import pytest

from tests.clients.running import CLIENTS, Run
from tests.serving import TLS, Client

pytestmark = pytest.mark.slow


def document(name: str) -> str:
    """Return the hash under which relay-compiler has stored the operation of that name."""
    persisted = orjson.loads((CLIENTS / "generated" / "persisted.json").read_bytes())
    (found,) = (hash_ for hash_, text in persisted.items() if f"query {name}(" in text)
    return str(found)


async def test_a_document_of_relay_over_a_websocket(run: Run, client: Client) -> None:
    program = await run.node("runs/trusted.ts", client.url, client.token, document("TransfersListQuery"))
    said = await program.all_said()
    assert said["data"]["transfers"]["edges"] == []


@pytest.mark.parametrize("name", ["documentId", "doc_id"])
async def test_a_document_of_relay_over_http(recipes: object, client: Client, name: str) -> None:
    asked = {name: document("TransfersListQuery"), "query": "", "variables": {"first": 1}}
    async with httpx.AsyncClient(verify=TLS) as http:
        answer = await http.post(client.url, json=asked, headers={"Authorization": f"Bearer {client.token}"})
    assert answer.json()["data"]["transfers"]["edges"] == []


async def test_the_link_of_apollo_for_automatic_persisted_queries_turns_itself_off(run: Run, client: Client) -> None:
    said = await (await run.node("runs/apq.ts", client.url, client.token)).all_said()
    assert said["requests"] == 4, "the first query is asked twice, the others once"
