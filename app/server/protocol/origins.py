"""Allowed origins: one rule for CORS and for the handshake of WebSockets."""

import ipaddress
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send
from strawberry.http.websocket_origin import normalize_allowed_origins, normalize_origin

REQUEST_HEADERS = (
    "Authorization",
    "Content-Type",
    "X-Request-ID",
    # Apollo clients send these, or can be configured to.
    "Apollographql-Client-Name",
    "Apollographql-Client-Version",
    "Apollo-Require-Preflight",
    # OpenTelemetry in a browser sends these (W3C Trace Context and Baggage).
    "Traceparent",
    "Tracestate",
    "Baggage",
)
EXPOSED_HEADERS = ("X-Request-ID", "Retry-After")
ORIGIN_NOT_ALLOWED = "ORIGIN_NOT_ALLOWED"
HINT = "TRANSFERS_ALLOWED_ORIGINS lists the origins that may send requests"
MOST_LOGGED = 300
"""Most characters that are logged of a header. A client can send any text in it."""

OnRefusal = Callable[[str, dict[str, str]], None]
"""Called with the error code of a refused request, and with what to log about it."""


class Origins:
    """The allowed origins.

    `allowed`: origins, or "*" for every origin. `loopback`: whether loopback origins are allowed too, on any port.
    """

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
    """Return what to log about a refused page. Of the header only the origin is logged, not a path or a password."""
    return {"origin": (normalize_origin(origin) or "null")[:MOST_LOGGED], "hint": HINT}


class CrossOrigin(CORSMiddleware):
    """CORS for the allowed origins. A request without an Origin header is not from a page, and passes unchanged."""

    def __init__(self, app: ASGIApp, origins: Origins, on_refusal: OnRefusal) -> None:
        super().__init__(
            app, allow_methods=("GET", "POST"), allow_headers=REQUEST_HEADERS, expose_headers=EXPOSED_HEADERS
        )
        self._origins = origins
        self._on_refusal = on_refusal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_origin = any(name == b"origin" for name, _ in scope["headers"])
        await (super().__call__ if has_origin else self.app)(scope, receive, send)

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
            self._on_refusal(ORIGIN_NOT_ALLOWED, about_origin(headers["origin"]))
            return
        asked = headers["access-control-request-method"], headers.get("access-control-request-headers", "")
        self._on_refusal("PREFLIGHT_REFUSED", {"why": why, "asked": " ".join(asked)[:MOST_LOGGED]})
