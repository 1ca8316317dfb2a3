"""Trusted documents are found by their hash; in the strict mode nothing else runs."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import strawberry
from graphql import GraphQLError
from strawberry.extensions import SchemaExtension
from strawberry.types import ExecutionResult

from app.api.documents import TrustedDocuments, asked_hash, document_hash, trusted_documents_extension
from app.api.guard import guard_extension
from app.api.limits import Budget, Limits

HELLO = "query Hello { hello }"
TICKS = "subscription Ticks { ticks }"


@strawberry.type
class Query:
    @strawberry.field
    async def hello(self) -> str:
        return "hello"


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def ticks(self) -> AsyncIterator[int]:
        yield 1


def schema(documents: TrustedDocuments) -> strawberry.Schema:
    limits = Limits()
    guard = guard_extension(limits, Budget(limits.capacity, limits.restore_rate))
    return strawberry.Schema(
        Query, subscription=Subscription, extensions=[trusted_documents_extension(documents), guard]
    )


def by_hash(text: str) -> dict[str, Any]:
    return {"persistedQuery": {"version": 1, "sha256Hash": document_hash(text)}}


def code_of(result: ExecutionResult) -> str:
    assert result.errors
    assert result.data is None
    extensions = result.errors[0].extensions
    assert extensions
    return str(extensions["code"])


class TestStore:
    def test_finds_a_document_by_its_hash(self) -> None:
        documents = TrustedDocuments([HELLO])
        digest = document_hash(HELLO)
        assert [documents.find(it) for it in (digest, digest.upper(), f"sha256:{digest}")] == [HELLO] * 3
        assert documents.find("0" * 64) is None

    def test_the_new_line_that_ends_a_file_does_not_matter(self) -> None:
        documents = TrustedDocuments([HELLO + "\n"], strict=True)
        assert documents.find(document_hash(HELLO)) == HELLO + "\n"
        assert documents.allows(HELLO)
        assert len(documents) == 1

    def test_allows_others_unless_it_is_strict(self) -> None:
        assert TrustedDocuments([HELLO]).allows("{ hello }")
        assert not TrustedDocuments([HELLO], strict=True).allows("{ hello }")

    def test_loads_a_folder(self, tmp_path: Path) -> None:
        (tmp_path / "deeper").mkdir()
        (tmp_path / "hello.graphql").write_text(HELLO)
        (tmp_path / "deeper" / "ticks.graphql").write_text(TICKS)
        (tmp_path / "README.md").write_text("not a document")
        assert len(TrustedDocuments.load(tmp_path)) == 2

    @pytest.mark.parametrize("content", [b"query {", b"", b"\xff\xfe"])
    def test_names_a_broken_file(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "broken.graphql").write_bytes(content)
        with pytest.raises(ValueError, match=r"broken\.graphql"):
            TrustedDocuments.load(tmp_path)

    def test_names_a_missing_folder(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="nowhere"):
            TrustedDocuments.load(tmp_path / "nowhere")

    @pytest.mark.parametrize(
        ("extensions", "hash_"),
        [
            ({"persistedQuery": {"sha256Hash": "abc"}}, "abc"),
            ({"documentId": "sha256:abc"}, "sha256:abc"),
            ({"persistedQuery": "abc"}, None),
            ({"persistedQuery": {"sha256Hash": 5}}, None),
            ({"documentId": ["abc"]}, None),
            ({}, None),
        ],
    )
    def test_reads_the_hash_that_is_asked_for(self, extensions: dict[str, Any], hash_: str | None) -> None:
        assert asked_hash(extensions) == hash_

    def test_a_request_that_names_nothing_is_left_alone(self) -> None:
        assert TrustedDocuments([HELLO], strict=True).resolve(None, None) is None

    def test_a_hash_that_comes_with_its_query_is_not_looked_up(self) -> None:
        assert TrustedDocuments([]).resolve("{ hello }", by_hash("{ hello }")) == "{ hello }"

    def test_an_unknown_hash_is_refused(self) -> None:
        with pytest.raises(GraphQLError, match="No document of this hash"):
            TrustedDocuments([]).resolve(None, by_hash(HELLO))


class TestInASchema:
    async def test_a_hash_runs_its_document(self) -> None:
        result = await schema(TrustedDocuments([HELLO], strict=True)).execute(None, operation_extensions=by_hash(HELLO))
        assert result.data == {"hello": "hello"}

    async def test_its_name_may_be_given(self) -> None:
        served = schema(TrustedDocuments([HELLO + TICKS], strict=True))
        result = await served.execute(None, operation_name="Hello", operation_extensions=by_hash(HELLO + TICKS))
        assert result.data == {"hello": "hello"}

    @pytest.mark.parametrize("name", [None, "Hello", 'no name " {'])
    async def test_an_unknown_hash_is_not_found(self, name: str | None) -> None:
        served = schema(TrustedDocuments([]))
        result = await served.execute(None, operation_name=name, operation_extensions=by_hash(HELLO))
        assert code_of(result) == "PERSISTED_QUERY_NOT_FOUND"

    async def test_strict_refuses_any_other_document(self) -> None:
        served = schema(TrustedDocuments([HELLO], strict=True))
        assert code_of(await served.execute("{ hello }")) == "DOCUMENT_NOT_TRUSTED"
        assert code_of(await served.execute("{ __typename }")) == "DOCUMENT_NOT_TRUSTED"
        assert (await served.execute(HELLO)).data == {"hello": "hello"}

    @pytest.mark.parametrize("query", [None, "{ hello }"])
    async def test_a_stream_gets_an_error_and_not_an_exception(self, query: str | None) -> None:
        served = schema(TrustedDocuments([TICKS], strict=True))
        results = await served.stream(query, operation_extensions=by_hash(HELLO))
        (result,) = [it async for it in results if isinstance(it, ExecutionResult)]
        assert code_of(result) == ("DOCUMENT_NOT_TRUSTED" if query else "PERSISTED_QUERY_NOT_FOUND")

    async def test_a_subscription_runs_by_its_hash(self) -> None:
        served = schema(TrustedDocuments([TICKS], strict=True))
        results = await served.subscribe(None, operation_extensions=by_hash(TICKS))
        assert [it.data async for it in results] == [{"ticks": 1}]

    async def test_works_without_the_guard(self) -> None:
        extensions: list[Any] = [trusted_documents_extension(TrustedDocuments([HELLO], strict=True)), SchemaExtension]
        served = strawberry.Schema(Query, extensions=extensions)
        assert (await served.execute(None, operation_extensions=by_hash(HELLO))).data == {"hello": "hello"}
        assert code_of(await served.execute("{ hello }")) == "DOCUMENT_NOT_TRUSTED"
