"""What a client asks to run, whichever way it came."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from app.server.errors import BadParameters, BadRequest


@dataclass(frozen=True, slots=True)
class Parameters:
    query: str | None
    """None: the document that has this hash."""
    document_hash: str | None = None
    is_automatic: bool = False
    """Asked as clients with automatic persisted queries (APQ) do: they send the text when the hash isn't known."""
    variables: dict[str, Any] | None = None
    operation_name: str | None = None
    extensions: dict[str, Any] | None = None

    @classmethod
    def of(cls, given: object) -> "Parameters":
        """From a decoded JSON value. Raises BadParameters."""
        if isinstance(given, list):
            raise BadParameters("Batches are not supported")
        if not isinstance(given, dict):
            raise BadParameters("The request is a JSON object")
        extensions = _map(given, "extensions")
        persisted = (extensions or {}).get("persistedQuery")
        hash_ = _hash(given, persisted)
        return cls(
            query=_query(given.get("query"), hash_),
            document_hash=hash_,
            is_automatic=isinstance(persisted, dict),
            variables=_map(given, "variables"),
            operation_name=_name(given.get("operationName")),
            extensions=extensions,
        )

    @classmethod
    def of_body(cls, body: bytes) -> "Parameters":
        return cls.of(decode(body))

    @classmethod
    def of_url(cls, given: Mapping[str, str]) -> "Parameters":
        """From a query string, where an empty parameter is as if absent."""
        present: dict[str, object] = {name: value for name, value in given.items() if value}
        for name in ("variables", "extensions"):
            if name in present:
                present[name] = decode(given[name])
        return cls.of(present)


def decode(text: bytes | str) -> object:
    """JSON, or BadRequest: for bad UTF-8 and for whatever is nested too deeply, too."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadRequest("The request is not valid JSON") from error


def _query(query: object, hash_: str | None) -> str | None:
    """None when the hash names the document. An empty text beside it counts as absent: graphql-ws has to send one."""
    if hash_ is not None and query in (None, ""):
        return None
    if isinstance(query, str):
        return query
    raise BadParameters("query is a string")


def _hash(given: dict[str, Any], persisted: object) -> str | None:
    """Read the hash as Apollo's clients send it, as GraphQL over HTTP names it, or by Relay's custom."""
    if isinstance(persisted, dict):
        hash_ = persisted.get("sha256Hash")
    else:
        hash_ = given.get("documentId") or given.get("doc_id")
    if not isinstance(hash_, str | None):
        raise BadParameters("The hash of a document is a string")
    return hash_


def _name(name: object) -> str | None:
    if not isinstance(name, str | None):
        raise BadParameters("operationName is a string or null")
    return name or None


def _map(given: dict[str, Any], name: str) -> dict[str, Any] | None:
    value = given.get(name)
    if not isinstance(value, dict | None):
        raise BadParameters(f"{name} is an object or null")
    return value
