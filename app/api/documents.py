"""Trusted documents: operations that are known beforehand, asked for by their hash."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSyntaxError,
    NameNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    parse,
)
from strawberry.extensions import SchemaExtension
from strawberry.types import ExecutionContext


def document_hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()


class TrustedDocuments:
    """Documents by the SHA-256 of their text. If strict, no others run."""

    def __init__(self, texts: Iterable[str], *, strict: bool = False) -> None:
        self._strict = strict
        self._texts: dict[str, str] = {}
        for text in texts:
            # Editors end a file with a new line, clients send none: both hashes name the document.
            for spelling in (text, text.strip()):
                self._texts[document_hash(spelling)] = text

    @classmethod
    def load(cls, folder: Path, *, strict: bool = False) -> Self:
        """The *.graphql files of a folder and those below. Raises ValueError for a missing folder or a broken file."""
        if not folder.is_dir():
            raise ValueError(f"The folder of trusted documents is not there: {folder}")
        return cls([_read(path) for path in sorted(folder.rglob("*.graphql"))], strict=strict)

    def __len__(self) -> int:
        return len(set(self._texts.values()))

    def find(self, hash_: str) -> str | None:
        return self._texts.get(hash_.removeprefix("sha256:").lower())

    def allows(self, text: str) -> bool:
        return not self._strict or document_hash(text.strip()) in self._texts

    def resolve(self, query: str | None, extensions: Mapping[str, Any] | None) -> str | None:
        """The text to run. None when the request names none. Raises GraphQLError when it may not run or isn't known."""
        if not query:
            return self._by_hash(asked_hash(extensions or {}))
        if not self.allows(query):
            raise _refusal(
                "DOCUMENT_NOT_TRUSTED", "Only the documents that this server knows may run, and this is none."
            )
        return query

    def _by_hash(self, asked: str | None) -> str | None:
        found = self.find(asked) if asked else None
        if asked and found is None:
            raise _refusal("PERSISTED_QUERY_NOT_FOUND", "No document of this hash is known here.")
        return found


def asked_hash(extensions: Mapping[str, Any]) -> str | None:
    """As Apollo's clients send it, `persistedQuery: {sha256Hash}`, or as GraphQL over HTTP names it, `documentId`."""
    persisted = extensions.get("persistedQuery")
    hash_ = persisted.get("sha256Hash") if isinstance(persisted, Mapping) else extensions.get("documentId")
    return hash_ if isinstance(hash_, str) else None


def _read(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8")
        parse(text, no_location=True)
    except (UnicodeDecodeError, GraphQLSyntaxError) as error:
        raise ValueError(f"Not a GraphQL document: {path}: {error}") from error
    return text


def _refusal(code: str, message: str) -> GraphQLError:
    return GraphQLError(message, extensions={"code": code})


def refuse(context: ExecutionContext, error: GraphQLError) -> None:
    """Answer with this error before anything runs. For the hooks in which a raised error would end the whole stream.

    Strawberry goes on with an empty operation until it looks for errors, so that is what it finds.
    """
    kind = next(iter(context.allowed_operations)).value
    name = NameNode(value=context.operation_name) if context.operation_name else None
    empty = SelectionSetNode(selections=())
    operation = OperationDefinitionNode(operation=OperationType(kind), name=name, selection_set=empty)
    context.graphql_document = DocumentNode(definitions=(operation,))
    context.pre_execution_errors = [error]


class TrustedDocumentsExtension(SchemaExtension):
    def __init__(self, documents: TrustedDocuments) -> None:
        super().__init__()
        self._documents = documents

    def on_operation(self) -> Iterator[None]:
        context = self.execution_context
        try:
            context.query = self._documents.resolve(context.query, context.operation_extensions)
        except GraphQLError as error:
            refuse(context, error)
        yield


def trusted_documents_extension(documents: TrustedDocuments) -> Callable[[], SchemaExtension]:
    """For `Schema(extensions=[…])`."""
    return lambda: TrustedDocumentsExtension(documents)
