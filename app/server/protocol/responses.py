"""HTTP responses: status codes and headers of answers and errors."""

from math import ceil

import orjson
from starlette.responses import Response

from app.api.execution.document import OPERATION_RESOLUTION_FAILURE
from app.server.errors import (
    BAD_USER_INPUT,
    EXECUTION_TIMEOUT,
    GRAPHQL_PARSE_FAILED,
    GRAPHQL_VALIDATION_FAILED,
    INTERNAL_SERVER_ERROR,
    SERVICE_UNAVAILABLE,
    TOO_MANY_OPERATIONS,
    BadParameters,
    TransportError,
)
from app.server.protocol.negotiation import JSON, RESPONSE
from app.server.protocol.operations import Answer

# Errors of the document or its variables. Other codes have a status of their own, or 400.
DOCUMENT_ERRORS = {GRAPHQL_PARSE_FAILED, GRAPHQL_VALIDATION_FAILED, BAD_USER_INPUT, OPERATION_RESOLUTION_FAILURE}
STATUSES = {
    INTERNAL_SERVER_ERROR: 500,
    EXECUTION_TIMEOUT: 503,
    SERVICE_UNAVAILABLE: 503,
    "UNAUTHENTICATED": 401,
    "FORBIDDEN": 403,
    "THROTTLED": 429,
    TOO_MANY_OPERATIONS: 429,
}
CONTENT_TYPES = {media: f"{media}; charset=utf-8" for media in (JSON, RESPONSE)}


def answer_response(answer: Answer, media: str, request_id: str, http_draft: bool) -> Response:
    """Return the response for an answer.

    `http_draft`: use the status codes of the 2026 draft of GraphQL over HTTP, not those that the audit suite requires.
    """
    status = _draft_status(answer, media) if http_draft else _status(answer, media)
    retry = {"retry-after": f"{_retry_after(answer)}"} if status in (429, 503) else {}
    return _response(answer.body, status, media, request_id, **retry)


def error_response(error: TransportError, media: str, request_id: str, http_draft: bool) -> Response:
    body = orjson.dumps({"errors": [error.formatted]})
    status = 422 if http_draft and isinstance(error, BadParameters) else error.status
    return _response(body, status, media, request_id, **error.headers)


def _response(body: bytes, status: int, media: str, request_id: str, **headers: str) -> Response:
    always = {"content-type": CONTENT_TYPES[media], "cache-control": "no-store", "x-request-id": request_id}
    return Response(body, status, {**always, **headers})


def _retry_after(answer: Answer) -> int:
    """Return the seconds after which a client should try again: a whole number, at least 1."""
    seconds: float = answer.errors[0]["extensions"].get("retryAfter", 1)
    return max(1, ceil(seconds))


def _status(answer: Answer, media: str) -> int:
    # A client of application/json expects 200 for every well-formed request, also if its document has an error.
    if answer.executed or (media == JSON and answer.code in DOCUMENT_ERRORS):
        return 200
    return STATUSES.get(answer.code or "", 400)


def _draft_status(answer: Answer, media: str) -> int:
    if answer.executed:
        return 294 if answer.errors and media == RESPONSE else 200
    if answer.code in DOCUMENT_ERRORS - {GRAPHQL_PARSE_FAILED}:
        return 422
    return STATUSES.get(answer.code or "", 400)
