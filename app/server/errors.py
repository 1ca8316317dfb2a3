"""Errors as clients see them: a code and a safe message, never a stack trace."""

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
    """An error before any operation runs. The client sees the message.

    `formatted` is the error as it stands in the response.
    """

    def __init__(self, status: int, code: str, message: str, **headers: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.formatted = formatted_error(message, code)
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class BadRequest(TransportError):
    def __init__(self, message: str) -> None:
        super().__init__(400, "BAD_REQUEST", message)


class BadParameters(BadRequest):
    """The body is valid JSON but not a GraphQL request."""


class Unauthenticated(TransportError):
    def __init__(self, message: str) -> None:
        super().__init__(401, "UNAUTHENTICATED", message, www_authenticate="Bearer")


class Unavailable(TransportError):
    """A temporary problem of the server. The client should try again."""

    def __init__(self, message: str) -> None:
        super().__init__(503, SERVICE_UNAVAILABLE, message, retry_after="1")


def formatted_error(message: str, code: str, **extensions: str) -> dict[str, Any]:
    return {"message": message, "extensions": {"code": code, **extensions}}


def fault(error: BaseException | None, request_id: str, about: Mapping[str, object]) -> dict[str, Any]:
    """Log an internal error, and return the error that the client sees, with the same request id.

    An unavailable database is not an internal error: the client is told to try again.
    """
    if isinstance(error, DatabaseUnavailable):
        logger.warning("The database is unavailable for %(operation)s", about, extra={**about, "why": str(error)})
        return formatted_error("The database is unavailable: try again", SERVICE_UNAVAILABLE, requestId=request_id)
    logger.error("Internal server error in %(operation)s", about, exc_info=error, extra=dict(about))
    return formatted_error("Internal server error", INTERNAL_SERVER_ERROR, requestId=request_id)


def describe(
    errors: Sequence[GraphQLError], default: str | None, request_id: str, about: Mapping[str, object]
) -> list[dict[str, Any]]:
    """Return the errors as the client sees them. `default` is the code of errors that belong to no field."""
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
    """Return the code of an error that the client may see, or None for an internal error.

    An error with a code in its extensions was raised for the client to see.
    """
    cause = error.original_error
    code = (error.extensions or {}).get("code")
    if isinstance(code, str) and isinstance(cause, GraphQLError | None):
        return code
    if error.path is not None:
        return BAD_USER_INPUT if _is_bad_argument(cause) else None
    if isinstance(error, GraphQLSyntaxError):
        return GRAPHQL_PARSE_FAILED
    if cause is not None and not error.nodes:
        return None
    return BAD_USER_INPUT if _is_bad_variable(error) else default


def _is_bad_argument(cause: Exception | None) -> bool:
    # The error of an argument that graphql-core can't coerce has nodes. An error of a resolver or a scalar has none.
    return isinstance(cause, GraphQLError) and bool(cause.nodes)


def _is_bad_variable(error: GraphQLError) -> bool:
    # The error of a variable that can't be coerced has an original error. The error of a validation rule has none.
    node = error.nodes[0] if error.nodes else None
    return isinstance(node, VariableDefinitionNode) and isinstance(error.original_error, GraphQLError)


def masked(error: Exception, request_id: str) -> TransportError:
    """Log an internal error outside of operations, and return the error that the client sees."""
    shown = TransportError(500, INTERNAL_SERVER_ERROR, "Internal server error")
    shown.formatted = fault(error, request_id, {"request_id": request_id, "operation": "the transport"})
    return shown
