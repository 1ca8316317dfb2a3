"""Pages of which origins may call: one rule, for CORS and for the opening of WebSockets."""

import ipaddress
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send
from strawberry.http.websocket_origin import normalize_allowed_origins, normalize_origin

SENT = (
    "Authorization",
    "Content-Type",
    "X-Request-ID",
    # Apollo's clients send these, or can be told to.
    "Apollographql-Client-Name",
    "Apollographql-Client-Version",
    "Apollo-Require-Preflight",
    # OpenTelemetry in a page sends these (W3C Trace Context and Baggage).
    "Traceparent",
    "Tracestate",
    "Baggage",
)
SHOWN = ("X-Request-ID", "Retry-After")
ORIGIN_NOT_ALLOWED = "ORIGIN_NOT_ALLOWED"
HINT = "TRANSFERS_ALLOWED_ORIGINS lists the origins whose pages may call"
MOST_LOGGED = 300
"""Characters of a header that a client has made up."""

Refused = Callable[[str, dict[str, str]], None]
"""Is told the code of a refusal, and what the log says about it."""


class Origins:
    """`allowed`: origins, or "*" for all. `loopback`: whether pages that this machine serves may call, on any port."""

    def __init__(self, allowed: Iterable[str] = (), *, loopback: bool = False) -> None:
        self._allowed = normalize_allowed_origins(allowed)
        self._loopback = loopback

    def allows(self, origin: str) -> bool:
        if "*" in self._allowed:
            return True
        normal = normalize_origin(origin)
        return normal is not None and (normal in self._allowed or (self._loopback and _is_loopback(normal)))


def _is_loopback(origin: str) -> bool:
    parts = urlsplit(origin)
    if parts.scheme not in ("http", "https"):
        return False
    if parts.hostname == "localhost":
        return True
    try:
        return ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False


def about_origin(origin: str) -> dict[str, str]:
    """What the log says of a page that may not call. Only the origin is kept of what the header holds."""
    return {"origin": (normalize_origin(origin) or "null")[:MOST_LOGGED], "hint": HINT}


class CrossOrigin(CORSMiddleware):
    """CORS by the rule of `origins`. Requests without an Origin, which no browser's page sends, pass untouched."""

    def __init__(self, app: ASGIApp, origins: Origins, refused: Refused) -> None:
        super().__init__(app, allow_methods=("GET", "POST"), allow_headers=SENT, expose_headers=SHOWN)
        self._origins = origins
        self._refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_of_page = any(name == b"origin" for name, _ in scope["headers"])
        await (super().__call__ if is_of_page else self.app)(scope, receive, send)

    def is_allowed_origin(self, origin: str) -> bool:
        return self._origins.allows(origin)

    def preflight_response(self, request_headers: Headers) -> Response:
        answer = super().preflight_response(request_headers)
        if answer.status_code == 200:
            return answer
        why = bytes(answer.body).decode()
        self._log(request_headers, why)
        return PlainTextResponse(why, answer.status_code, headers={"Vary": "Origin"})

    def _log(self, headers: Headers, why: str) -> None:
        if not self.is_allowed_origin(headers["origin"]):
            self._refused(ORIGIN_NOT_ALLOWED, about_origin(headers["origin"]))
            return
        asked = headers["access-control-request-method"], headers.get("access-control-request-headers", "")
        self._refused("PREFLIGHT_REFUSED", {"why": why, "asked": " ".join(asked)[:MOST_LOGGED]})
