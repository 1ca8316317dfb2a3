"""The parameters of a GraphQL request, from a body, a URL or a WebSocket message."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from app.server.errors import BadParameters, BadRequest


@dataclass(frozen=True, slots=True)
class Parameters:
    query: str | None
    """The document. None: the request names the document by `document_hash`."""
    document_hash: str | None = None
    is_automatic: bool = False
    """Whether the client uses automatic persisted queries (APQ): it sends the document when the hash is unknown."""
    variables: dict[str, Any] | None = None
    operation_name: str | None = None
    extensions: dict[str, Any] | None = None

    @classmethod
    def of(cls, given: object) -> "Parameters":
        """Read the parameters from a decoded JSON value. Raises BadParameters."""
        if isinstance(given, list):
            raise BadParameters("Batches are not supported")
        if not isinstance(given, dict):
            raise BadParameters("The request must be a JSON object")
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
        """Read the parameters from a query string. An empty parameter counts as absent."""
        present: dict[str, object] = {name: value for name, value in given.items() if value}
        for name in ("variables", "extensions"):
            if name in present:
                present[name] = decode(given[name])
        return cls.of(present)


def decode(text: bytes | str) -> object:
    """Decode JSON. Raises BadRequest, also for invalid UTF-8 and for too many levels."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadRequest("The request is not valid JSON") from error


def _query(query: object, hash_: str | None) -> str | None:
    """Return the document, or None if the hash names it.

    An empty document beside a hash counts as absent: the client graphql-ws can't leave it out.
    """
    if hash_ is not None and query in (None, ""):
        return None
    if isinstance(query, str):
        return query
    raise BadParameters("query must be a string")


def _hash(given: dict[str, Any], persisted: object) -> str | None:
    """Return the hash of the document.

    Apollo sends it as an extension, GraphQL over HTTP names it `documentId`, and Relay's usual name is `doc_id`.
    """
    if isinstance(persisted, dict):
        hash_ = persisted.get("sha256Hash")
    else:
        hash_ = given.get("documentId") or given.get("doc_id")
    if not isinstance(hash_, str | None):
        raise BadParameters("The hash of a document must be a string")
    return hash_


def _name(name: object) -> str | None:
    if not isinstance(name, str | None):
        raise BadParameters("operationName must be a string or null")
    return name or None


def _map(given: dict[str, Any], name: str) -> dict[str, Any] | None:
    value = given.get(name)
    if not isinstance(value, dict | None):
        raise BadParameters(f"{name} must be an object or null")
    return value
