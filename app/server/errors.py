"""What a client is told when something goes wrong: a code, a safe message, and never a trace."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from graphql import GraphQLError, GraphQLSyntaxError, VariableDefinitionNode

from app.storage.database import DatabaseUnavailable

logger = logging.getLogger(__name__)

BAD_USER_INPUT = "BAD_USER_INPUT"
GRAPHQL_PARSE_FAILED = "GRAPHQL_PARSE_FAILED"
GRAPHQL_VALIDATION_FAILED = "GRAPHQL_VALIDATION_FAILED"
INTERNAL_SERVER_ERROR = "INTERNAL_SERVER_ERROR"
EXECUTION_TIMEOUT = "EXECUTION_TIMEOUT"
SERVICE_UNAVAILABLE = "SERVICE_UNAVAILABLE"
TOO_MANY_CONNECTIONS = "TOO_MANY_CONNECTIONS"
TOO_MANY_OPERATIONS = "TOO_MANY_OPERATIONS"


class TransportError(Exception):
    """A request that is answered before any operation runs. The message is shown to the client."""

    def __init__(self, status: int, code: str, message: str, **headers: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.entry = entry(message, code)
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class BadRequest(TransportError):
    def __init__(self, message: str) -> None:
        super().__init__(400, "BAD_REQUEST", message)


class BadParameters(BadRequest):
    """Well-formed JSON that is no GraphQL request."""


class Unauthenticated(TransportError):
    def __init__(self, message: str) -> None:
        super().__init__(401, "UNAUTHENTICATED", message, www_authenticate="Bearer")


class Unavailable(TransportError):
    """Not the client's fault, and worth another try."""

    def __init__(self, message: str) -> None:
        super().__init__(503, SERVICE_UNAVAILABLE, message, retry_after="1")


def entry(message: str, code: str, **extensions: str) -> dict[str, Any]:
    return {"message": message, "extensions": {"code": code, **extensions}}


def fault(error: BaseException | None, request_id: str, about: Mapping[str, object]) -> dict[str, Any]:
    """Hide a bug of ours from the client, and show it to the operator under the same request id.

    A database that does not take the work now is no bug: it is worth another try.
    """
    if isinstance(error, DatabaseUnavailable):
        logger.warning("No database for %(operation)s", about, extra={**about, "why": str(error)})
        return entry("The database does not answer now: try again", SERVICE_UNAVAILABLE, requestId=request_id)
    logger.error("Internal server error in %(operation)s", about, exc_info=error, extra=dict(about))
    return entry("Internal server error", INTERNAL_SERVER_ERROR, requestId=request_id)


def describe(
    errors: Sequence[GraphQLError], default: str | None, request_id: str, about: Mapping[str, object]
) -> list[dict[str, Any]]:
    """The errors as a client may see them. `default` is the code of those that belong to no field."""
    return [_described(error, default, request_id, about) for error in errors]


def _described(
    error: GraphQLError, default: str | None, request_id: str, about: Mapping[str, object]
) -> dict[str, Any]:
    code = _public_code(error, default)
    shown: dict[str, Any] = {**error.formatted}
    if code is None:
        shown |= fault(error.original_error or error, request_id, about)
    else:
        shown["extensions"] = {**shown.get("extensions", {}), "code": code}
    return shown


def _public_code(error: GraphQLError, default: str | None) -> str | None:
    """None for a fault. Whoever raises an error for the client to see says so by giving it a code."""
    cause = error.original_error
    code = (error.extensions or {}).get("code")
    if isinstance(code, str) and isinstance(cause, GraphQLError | None):
        return code
    if error.path is not None:
        return BAD_USER_INPUT if _of_argument(cause) else None
    if isinstance(error, GraphQLSyntaxError):
        return GRAPHQL_PARSE_FAILED
    if cause is not None and not error.nodes:
        return None
    return BAD_USER_INPUT if _of_variable(error) else default


def _of_argument(cause: Exception | None) -> bool:
    # graphql-core points at the argument that it could not coerce; what a resolver or a scalar raises points nowhere.
    return isinstance(cause, GraphQLError) and bool(cause.nodes)


def _of_variable(error: GraphQLError) -> bool:
    # A validation rule that points at a variable's definition has no error beneath it, coercion has.
    node = error.nodes[0] if error.nodes else None
    return isinstance(node, VariableDefinitionNode) and isinstance(error.original_error, GraphQLError)


def masked(error: Exception, request_id: str) -> TransportError:
    """A fault outside any operation."""
    masked = TransportError(500, INTERNAL_SERVER_ERROR, "Internal server error")
    masked.entry = fault(error, request_id, {"request_id": request_id, "operation": "the transport"})
    return masked
