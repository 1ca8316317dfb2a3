"""How answers and refusals look in HTTP."""

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

# What is wrong with the document or its variables; other codes tell of something else, by a status of their own or 400.
OF_DOCUMENTS = {GRAPHQL_PARSE_FAILED, GRAPHQL_VALIDATION_FAILED, BAD_USER_INPUT, OPERATION_RESOLUTION_FAILURE}
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


def answer_response(answer: Answer, media: str, request_id: str, draft: bool) -> Response:
    """`draft`: by the specification as of 2026, not as the audit suite has it."""
    status = _draft_status(answer, media) if draft else _status(answer, media)
    again = {"retry-after": f"{_wait(answer)}"} if status in (429, 503) else {}
    return _response(answer.body, status, media, request_id, **again)


def error_response(error: TransportError, media: str, request_id: str, draft: bool) -> Response:
    body = orjson.dumps({"errors": [error.entry]})
    status = 422 if draft and isinstance(error, BadParameters) else error.status
    return _response(body, status, media, request_id, **error.headers)


def _response(body: bytes, status: int, media: str, request_id: str, **headers: str) -> Response:
    always = {"content-type": CONTENT_TYPES[media], "cache-control": "no-store", "x-request-id": request_id}
    return Response(body, status, {**always, **headers})


def _wait(answer: Answer) -> int:
    """Whole seconds until it is worth while to try again."""
    seconds: float = answer.errors[0]["extensions"].get("retryAfter", 1)
    return max(1, ceil(seconds))


def _status(answer: Answer, media: str) -> int:
    # Clients that know no other type than application/json expect 200 whenever the request itself was in order.
    if answer.executed or (media == JSON and answer.code in OF_DOCUMENTS):
        return 200
    return STATUSES.get(answer.code or "", 400)


def _draft_status(answer: Answer, media: str) -> int:
    if answer.executed:
        return 294 if answer.errors and media == RESPONSE else 200
    if answer.code in OF_DOCUMENTS - {GRAPHQL_PARSE_FAILED}:
        return 422
    return STATUSES.get(answer.code or "", 400)
