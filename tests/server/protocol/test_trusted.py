"""Trusted documents are asked for by their hash; in the strict mode nothing else runs."""

import json
import os
from collections.abc import AsyncIterator, Callable
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from graphql import GraphQLError

from app.api.execution.document import Document, Documents
from app.api.metering.budget import Budget
from app.api.metering.limits import Limits
from app.server.protocol.trusted import TrustedDocuments, document_hash
from tests.server.sockets import SocketClient, initialised
from tests.server.toy import LIMITS, TOY, Site, codes, site

HELLO = "query Hello { hello }"
BOTH = 'query Hello { hello }\nquery Other { hello(name: "you") }'
NOTE = 'mutation { note(text: "x") }'
COUNT = "subscription { count(to: 2) }"


def reader(limits: Limits = LIMITS) -> Callable[[str], Document]:
    """Reads documents as a server with these limits does."""
    return partial(Documents(TOY, limits, Budget(limits.budget, limits.budget_rate)).read, reader=None)


class TestStore:
    def test_finds_a_document_by_its_hash(self) -> None:
        documents = TrustedDocuments([HELLO])
        digest = document_hash(HELLO)
        assert [documents.text(None, it) for it in (digest, digest.upper(), f"sha256:{digest}")] == [HELLO] * 3

    def test_the_new_line_that_ends_a_file_does_not_matter(self) -> None:
        documents = TrustedDocuments([HELLO + "\n"], strict=True)
        assert documents.text(None, document_hash(HELLO)) == HELLO + "\n"
        assert documents.text(HELLO, None) == HELLO

    def test_a_hash_that_comes_with_its_query_is_not_looked_up(self) -> None:
        assert TrustedDocuments([HELLO]).text("{ hello }", document_hash(HELLO)) == "{ hello }"

    def test_loads_a_folder(self, tmp_path: Path) -> None:
        (tmp_path / "deeper").mkdir()
        (tmp_path / "hello.graphql").write_text(HELLO)
        (tmp_path / "deeper" / "again.graphql").write_text("{ again: hello }")
        (tmp_path / "README.md").write_text("not a document")
        documents = TrustedDocuments.load(tmp_path, reader(), strict=True)
        assert [documents.text(it, None) for it in (HELLO, "{ again: hello }")] == [HELLO, "{ again: hello }"]

    @pytest.mark.parametrize(
        "content", [b"query {", b"", b"\xff\xfe", b"{ gone }", b"fragment F on Query { hello }", b"{a:hello b:hello}"]
    )
    def test_names_a_file_that_could_not_be_run(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "broken.graphql").write_bytes(content)
        with pytest.raises(ValueError, match=r"broken\.graphql"):
            TrustedDocuments.load(tmp_path, reader(Limits(max_aliases=1)))

    @pytest.mark.parametrize(
        "written", [b"query Hello {\r\n  hello\r\n}\r\n", b"\xef\xbb\xbfquery Hello {\n  hello\n}\n"]
    )
    def test_knows_a_file_by_its_octets_and_by_its_plain_text(self, tmp_path: Path, written: bytes) -> None:
        plain = "query Hello {\n  hello\n}\n"
        (tmp_path / "hello.graphql").write_bytes(written)
        documents = TrustedDocuments.load(tmp_path, reader(), strict=True)
        for octets in (written, plain.encode(), plain.strip().encode()):
            assert documents.text(None, sha256(octets).hexdigest()) == plain
        assert documents.text(written.decode(), None) == written.decode()

    def test_reads_files_alone(self, tmp_path: Path) -> None:
        (tmp_path / "hello.graphql").write_text(HELLO)
        (tmp_path / "folder.graphql").mkdir()
        (tmp_path / ".#hello.graphql").symlink_to("somebody@somewhere.1234")
        (tmp_path / "loop.graphql").symlink_to("loop.graphql")
        os.mkfifo(tmp_path / "pipe.graphql")
        assert TrustedDocuments.load(tmp_path, reader()).text(None, document_hash(HELLO)) == HELLO

    def test_names_a_file_that_can_not_be_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def forbidden(path: Path) -> bytes:
            raise PermissionError(13, "Permission denied", str(path))

        (tmp_path / "hello.graphql").write_text(HELLO)
        monkeypatch.setattr(Path, "read_bytes", forbidden)
        with pytest.raises(ValueError, match=r"Permission denied: '.*hello\.graphql'"):
            TrustedDocuments.load(tmp_path, reader())

    @pytest.mark.parametrize("name", ["", "nowhere"])
    def test_names_a_folder_without_documents(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(ValueError, match=f"{tmp_path / name} is no folder"):
            TrustedDocuments.load(tmp_path / name, reader(), strict=True)

    @pytest.mark.parametrize("hash_", ["0" * 64, "", "sha256:", "\0", "é"])
    def test_an_unknown_hash_is_not_found(self, hash_: str) -> None:
        with pytest.raises(GraphQLError, match="PersistedQueryNotFound"):
            TrustedDocuments([HELLO]).text(None, hash_)


@pytest.fixture
async def strict() -> AsyncIterator[Site]:
    trusted = TrustedDocuments([HELLO, BOTH, NOTE, COUNT], strict=True)
    async with site(trusted=trusted) as running:
        yield running


@pytest.fixture
async def client(strict: Site) -> AsyncIterator[httpx.AsyncClient]:
    async with strict.client() as client:
        yield client


def apollo(text: str) -> dict[str, Any]:
    """As Apollo's clients ask."""
    return {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": document_hash(text)}}}


def standard(text: str) -> dict[str, Any]:
    """As GraphQL over HTTP has it."""
    return {"documentId": f"sha256:{document_hash(text)}"}


def relay(text: str) -> dict[str, Any]:
    """As Relay's network layers ask by custom."""
    return {"doc_id": document_hash(text)}


BY_HASH = pytest.mark.parametrize("by_hash", [apollo, standard, relay])


@BY_HASH
async def test_a_hash_runs_its_document(client: httpx.AsyncClient, by_hash: Any) -> None:
    assert (await client.post("/graphql", json=by_hash(HELLO))).json()["data"] == {"hello": "Hello, world!"}


@BY_HASH
async def test_an_empty_query_beside_a_hash_counts_as_absent(client: httpx.AsyncClient, by_hash: Any) -> None:
    """The npm package graphql-ws insists on a query that is a string."""
    asked = {"query": "", **by_hash(HELLO)}
    by_get = {name: value if isinstance(value, str) else json.dumps(value) for name, value in asked.items()}
    posted, got = await client.post("/graphql", json=asked), await client.get("/graphql", params=by_get)
    assert [it.json()["data"] for it in (posted, got)] == [{"hello": "Hello, world!"}] * 2


@BY_HASH
async def test_so_it_does_for_an_event_stream(client: httpx.AsyncClient, by_hash: Any) -> None:
    asked = {"query": "", **by_hash(COUNT)}
    answer = await client.post("/graphql", json=asked, headers={"accept": "text/event-stream"})
    assert answer.text.count("event: next") == 2


async def test_an_empty_query_without_a_hash_is_an_empty_document() -> None:
    async with site() as running, running.client() as client:
        answer = await client.post("/graphql", json={"query": "", "documentId": None, "extensions": {}})
    assert codes(answer.json()) == ["GRAPHQL_PARSE_FAILED"]


async def test_one_of_its_operations_may_be_named(client: httpx.AsyncClient) -> None:
    other = await client.post("/graphql", json={**standard(BOTH), "operationName": "Other"})
    unnamed = await client.post("/graphql", json=standard(BOTH))
    assert other.json()["data"] == {"hello": "Hello, you!"}
    assert codes(unnamed.json()) == ["OPERATION_RESOLUTION_FAILURE"]


async def test_what_it_asks_for_by_get_is_known_before_it_runs(client: httpx.AsyncClient) -> None:
    assert (await client.get("/graphql", params=standard(HELLO))).json()["data"] == {"hello": "Hello, world!"}
    assert (await client.get("/graphql", params=standard(NOTE))).status_code == 405
    assert (await client.post("/graphql", json=standard(COUNT))).status_code == 406


async def test_an_event_stream_by_hash(client: httpx.AsyncClient) -> None:
    answer = await client.post("/graphql", json=standard(COUNT), headers={"accept": "text/event-stream"})
    assert answer.text.count("event: next") == 2


async def test_strict_refuses_any_other_document(client: httpx.AsyncClient) -> None:
    for query in ("{ hello }", "{ __typename }", "{ __schema { types { name } } }", "not even a document"):
        answer = await client.post("/graphql", json={"query": query})
        assert (answer.status_code, codes(answer.json())) == (400, ["DOCUMENT_NOT_TRUSTED"])
    assert (await client.post("/graphql", json={"query": f"\n{HELLO}\n"})).status_code == 200


async def test_an_unknown_hash_is_answered_as_clients_expect(client: httpx.AsyncClient) -> None:
    unknown = await client.post("/graphql", json=apollo("{ hello }"))
    assert (unknown.status_code, codes(unknown.json())) == (400, ["PERSISTED_QUERY_NOT_FOUND"])
    async with site() as without, without.client() as stranger:
        answer = await stranger.post("/graphql", json=apollo(HELLO))
    assert codes(answer.json()) == ["PERSISTED_QUERY_NOT_SUPPORTED"]


def messages(answer: httpx.Response) -> list[str]:
    return [error["message"] for error in answer.json()["errors"]]


async def test_automatic_persisted_queries_are_told_once_to_turn_themselves_off() -> None:
    """Apollo goes by the code and urql by the message. After "not found" they would ask twice for ever."""
    trusted = TrustedDocuments([HELLO])
    async with site(trusted=trusted) as running, running.client() as client:
        automatic = await client.post("/graphql", json=apollo("{ hello }"))
        by_id = await client.post("/graphql", json=standard("{ hello }"))
        known = await client.post("/graphql", json=apollo(HELLO))
    assert (codes(automatic.json()), messages(automatic)) == (
        ["PERSISTED_QUERY_NOT_SUPPORTED"],
        ["PersistedQueryNotSupported"],
    )
    assert (codes(by_id.json()), messages(by_id)) == (["PERSISTED_QUERY_NOT_FOUND"], ["PersistedQueryNotFound"])
    assert known.json()["data"] == {"hello": "Hello, world!"}


async def test_where_nothing_else_may_run_an_unknown_one_is_not_found(client: httpx.AsyncClient) -> None:
    """To turn itself off would not help the client: it may not send other documents."""
    assert messages(await client.post("/graphql", json=apollo("{ hello }"))) == ["PersistedQueryNotFound"]


@pytest.mark.parametrize(
    "body",
    [
        {"documentId": 5},
        {"documentId": None},
        {"doc_id": 5},
        {"extensions": {"persistedQuery": {"sha256Hash": ["a"]}}},
        {"extensions": {"persistedQuery": "abc"}},
        {"extensions": {"persistedQuery": {}}},
        {"query": 5, **standard(HELLO)},
    ],
)
async def test_what_names_no_document_is_no_request(client: httpx.AsyncClient, body: dict[str, Any]) -> None:
    answer = await client.post("/graphql", json=body)
    assert (answer.status_code, codes(answer.json())) == (400, ["BAD_REQUEST"])


@pytest.fixture
async def socket(strict: Site) -> AsyncIterator[SocketClient]:
    async with initialised(strict) as socket:
        yield socket


@BY_HASH
@pytest.mark.parametrize("beside", [{}, {"query": ""}])
async def test_a_socket_by_hash(socket: SocketClient, by_hash: Any, beside: dict[str, Any]) -> None:
    await socket.ask({**beside, **by_hash(COUNT)})
    assert [(await socket.receive())["payload"]["data"]["count"] for _ in range(2)] == [0, 1]
    assert (await socket.receive())["type"] == "complete"


async def test_a_refusal_ends_no_socket(socket: SocketClient) -> None:
    await socket.subscribe("subscription { count(to: 9) }")
    assert (await socket.receive())["payload"][0]["extensions"]["code"] == "DOCUMENT_NOT_TRUSTED"
    await socket.ask(apollo("{ hello }"))
    assert (await socket.receive())["payload"][0]["extensions"]["code"] == "PERSISTED_QUERY_NOT_FOUND"
    await socket.ask(apollo(HELLO))
    assert (await socket.receive())["payload"]["data"] == {"hello": "Hello, world!"}
