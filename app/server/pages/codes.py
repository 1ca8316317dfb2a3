"""The codes by which a client tells errors apart, with what they mean. A test compares them with the source."""

from typing import NamedTuple


class ErrorCode(NamedTuple):
    code: str
    status: str
    """The HTTP status of the response, when the whole request fails with this code."""
    meaning: str


class CloseCode(NamedTuple):
    code: int
    meaning: str


ERROR_CODES: dict[str, tuple[ErrorCode, ...]] = {
    "Sign-in and permissions": (
        ErrorCode("UNAUTHENTICATED", "401", "The token is missing, has expired, or is not valid. Sign in again."),
        ErrorCode("FORBIDDEN", "200", "The token lacks a permission. The field is null, and the others have data."),
    ),
    "The request": (
        ErrorCode(
            "BAD_REQUEST", "400", "The body is not a JSON object with the parameters of GraphQL. Batches are refused."
        ),
        ErrorCode("METHOD_NOT_ALLOWED", "405", "Use `POST`. `GET` is for queries alone."),
        ErrorCode(
            "NOT_ACCEPTABLE",
            "406",
            "The `Accept` header allows neither JSON nor, for a subscription, `text/event-stream`.",
        ),
        ErrorCode("REQUEST_TIMEOUT", "408", "The body did not arrive in time."),
        ErrorCode("PAYLOAD_TOO_LARGE", "413", "The body has too many bytes."),
        ErrorCode("UNSUPPORTED_MEDIA_TYPE", "415", "Send `Content-Type: application/json`, uncompressed, in UTF-8."),
        ErrorCode("HEADERS_TOO_LARGE", "431", "The headers of the request have too many bytes."),
    ),
    "The document and its variables": (
        ErrorCode("GRAPHQL_PARSE_FAILED", "400", "The document has a syntax error."),
        ErrorCode("GRAPHQL_VALIDATION_FAILED", "400", "The document does not fit the schema."),
        ErrorCode("OPERATION_RESOLUTION_FAILURE", "400", "`operationName` must name one operation of the document."),
        ErrorCode("BAD_USER_INPUT", "400", "A variable or an argument has a value that is not allowed."),
        ErrorCode("DOCUMENT_NOT_TRUSTED", "400", "This server runs only documents that its operator trusts."),
        ErrorCode("PERSISTED_QUERY_NOT_FOUND", "400", "No document of this server has this hash."),
        ErrorCode(
            "PERSISTED_QUERY_NOT_SUPPORTED",
            "400",
            "This server keeps no document that a client sends. Send the text.",
        ),
    ),
    "Limits": (
        ErrorCode("QUERY_TOO_LONG", "400", "The document has too many characters or tokens."),
        ErrorCode("QUERY_TOO_DEEP", "400", "Too many selections are nested."),
        ErrorCode("QUERY_TOO_COMPLEX", "400", "The operation may cost too many points. Ask for shorter lists."),
        ErrorCode("TOO_MANY_ALIASES", "400", "The document has too many aliases."),
        ErrorCode("TOO_MANY_DIRECTIVES", "400", "The document has too many directives."),
        ErrorCode("TOO_MANY_REPEATS", "400", "A selection repeats its fields too often."),
        ErrorCode("TOO_MANY_SPREADS", "400", "A selection spreads too many fragments."),
        ErrorCode(
            "THROTTLED",
            "429",
            "The budget is spent. Try again after `extensions.retryAfter` seconds. `extensions.cost` has the numbers.",
        ),
        ErrorCode("TOO_MANY_OPERATIONS", "429", "The customer has too many mutations or subscriptions under way."),
        ErrorCode("TOO_MANY_CONNECTIONS", "429", "The customer or the network address has too many connections."),
    ),
    "Subscriptions": (
        ErrorCode("NOT_FOUND", "200", "`transferChanged`: no transfer of the customer has this id."),
        ErrorCode("CURSOR_INVALID", "200", "`transferEvents`: `after` is not a cursor of this log of events."),
        ErrorCode(
            "CURSOR_EXPIRED",
            "200",
            "`transferEvents`: events after this cursor are no longer kept. Read the transfers again, and follow from "
            "their `eventCursor`.",
        ),
    ),
    "The server": (
        ErrorCode("SERVICE_UNAVAILABLE", "503", "The server stops, or its database does not respond. Try again."),
        ErrorCode("EXECUTION_TIMEOUT", "503", "The operation took too long."),
        ErrorCode(
            "INTERNAL_SERVER_ERROR",
            "500",
            "A fault of the server. Report `extensions.requestId`: the server's log says more under this id.",
        ),
    ),
}

CLOSE_CODES = (
    CloseCode(1007, "A message is not UTF-8."),
    CloseCode(1008, "Too many frames came without a message."),
    CloseCode(1009, "A message has too many bytes."),
    CloseCode(1012, "The server restarts. Connect again."),
    CloseCode(1013, "Too many connections, or a trouble that passes. Connect again later."),
    CloseCode(4400, "A message is not of the protocol."),
    CloseCode(4401, "`subscribe` came before `connection_init`."),
    CloseCode(4403, "The token is not valid, or has expired."),
    CloseCode(4406, "The client must offer the sub-protocol `graphql-transport-ws`."),
    CloseCode(4408, "`connection_init` did not come in time."),
    CloseCode(4409, "A subscription with this id is open."),
    CloseCode(4429, "`connection_init` came twice."),
    CloseCode(4500, "A fault of the server."),
)
