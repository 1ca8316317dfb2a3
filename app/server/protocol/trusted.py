"""Trusted documents: operations that the operator provides, and that clients request by their hash."""

from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path
from typing import Self

from graphql import GraphQLError, parse

from app.api.execution.document import Document
from app.api.metering.cost import operations


def document_hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()


class TrustedDocuments:
    """Documents by the SHA-256 of their text, with or without the line ends that editors add.

    If strict, other documents are refused.
    """

    def __init__(self, texts: Iterable[str] = (), *, strict: bool = False) -> None:
        self._strict = strict
        self._texts: dict[str, str] = {}
        for text in texts:
            # Editors end a file with a newline, and clients send none: accept the hash of each spelling.
            for spelling in (text, _plain(text), _plain(text).strip()):
                self._texts[document_hash(spelling)] = _plain(text)

    @classmethod
    def load(cls, folder: Path, read: Callable[[str], Document], *, strict: bool = False) -> Self:
        """Load the *.graphql files of a folder and of the folders below.

        Raise ValueError if there are none, and for a file that can't be read or that this schema would not run.
        """
        try:
            texts = {path: path.read_bytes() for path in sorted(folder.rglob("*.graphql")) if path.is_file()}
        except OSError as error:
            raise ValueError(f"The documents can't be read: {error}") from error
        if not texts:
            raise ValueError(f"{folder} is no folder with *.graphql files")
        return cls([_checked(path, octets, read) for path, octets in texts.items()], strict=strict)

    @property
    def names(self) -> set[str]:
        """The names of all operations in the documents."""
        found = [operation.name for text in self._texts.values() for operation in operations(parse(text))]
        return {name.value for name in found if name}

    def text(self, query: str | None, hash_: str | None, *, is_automatic: bool = False) -> str:
        """Return the text to run. Raises GraphQLError when nothing may run.

        A hash that comes with its query is not looked up. `is_automatic`: the client uses automatic persisted queries.
        """
        if query is None:
            return self._known(hash_ or "", is_automatic)
        if self._strict and document_hash(_plain(query).strip()) not in self._texts:
            raise _refusal("DOCUMENT_NOT_TRUSTED", "Only documents that this server knows may run, and this is none")
        return query

    def _known(self, hash_: str, is_automatic: bool) -> str:
        text = self._texts.get(hash_.removeprefix("sha256:").lower())
        if text is None:
            raise self._unknown(is_automatic)
        return text

    def _unknown(self, is_automatic: bool) -> GraphQLError:
        """Answer in the words that clients compare: Apollo Client reads the code, urql reads the message.

        After "not found" a client with automatic persisted queries sends the text, and the hash alone again the next
        time: it would ask twice for ever, since texts are not kept. "Not supported" makes it send texts from then on.
        """
        if not self._texts or (is_automatic and not self._strict):
            return _refusal("PERSISTED_QUERY_NOT_SUPPORTED", "PersistedQueryNotSupported")
        return _refusal("PERSISTED_QUERY_NOT_FOUND", "PersistedQueryNotFound")


def _plain(text: str) -> str:
    """Remove the byte order mark, and end lines with a newline. To GraphQL the text is the same."""
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def _checked(path: Path, octets: bytes, read: Callable[[str], Document]) -> str:
    try:
        text = octets.decode()
        for error in read(_plain(text)).errors:
            raise error
    except (UnicodeDecodeError, GraphQLError) as error:
        raise ValueError(f"{path} can't be run: {getattr(error, 'message', error)}") from error
    return text


def _refusal(code: str, message: str) -> GraphQLError:
    return GraphQLError(message, extensions={"code": code})


NOTHING_TRUSTED = TrustedDocuments()
