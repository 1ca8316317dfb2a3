"""GraphiQL, a page for running GraphQL by hand. All its assets are served from here."""

import re
from collections.abc import Awaitable, Callable
from pathlib import Path

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

DIST = Path(__file__).parent.parent / "web" / "graphiql" / "dist"

NOT_BUILT = """<!doctype html>
<html lang="en">
<title>GraphiQL is not built</title>
<h1>GraphiQL is not built</h1>
<p>The API itself works, at <code>/graphql</code>. For this page, run <code>make web</code>
(or <code>make run</code>, which does that by itself) in the project's folder, and start the server again.</p>
</html>
"""


def graphiql(
    session: Callable[[], Awaitable[dict[str, object]]] | None = None, dist: Path = DIST
) -> list[Route | Mount]:
    """Return the routes of the page at /graphiql, and the redirect to it.

    `session` returns what the page opens with, in the format that app/web/graphiql/session.js documents.
    """

    async def session_json(_request: Request) -> Response:
        return JSONResponse(await session() if session else {}, headers={"Cache-Control": "no-store"})

    routes = [Route("/session.json", session_json), Route("/{path:path}", _files(dist))]
    page = Mount("/graphiql", routes=routes, middleware=[Middleware(SecurityHeaders, policy=_policy)])
    return [Route("/graphiql", _redirect), page]


async def _redirect(_request: Request) -> Response:
    return RedirectResponse("/graphiql/")


def _files(dist: Path) -> Callable[..., object]:
    if (dist / "index.html").is_file():
        return StaticFiles(directory=dist, html=True)  # not compressed: to compress 7 MB would block all other requests
    return _not_built


async def _not_built(_request: Request) -> Response:
    return HTMLResponse(NOT_BUILT, status_code=503)


class SecurityHeaders:
    """Sets headers that confine a page to this origin, and headers for caching.

    `policy` returns the Content-Security-Policy for a host.
    """

    def __init__(self, app: ASGIApp, policy: Callable[[str], str]) -> None:
        self.app = app
        self.policy = policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = self.policy(Headers(scope=scope).get("host", ""))
                headers["Cross-Origin-Resource-Policy"] = "same-origin"
                headers["Referrer-Policy"] = "no-referrer"
                headers["X-Content-Type-Options"] = "nosniff"
                headers.setdefault("Cache-Control", _cache_control(scope["path"], message["status"]))
            await send(message)

        await self.app(scope, receive, send_with_headers)


def _policy(host: str) -> str:
    # In some browsers 'self' does not include WebSockets of the same host.
    sockets = f" ws://{host} wss://{host}" if re.fullmatch(r"[\w.\-:\[\]]+", host) else ""
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "worker-src 'self'",
            "style-src 'self' 'unsafe-inline'",  # Monaco adds styles from JavaScript
            "font-src 'self' data:",  # GraphiQL's style sheet contains its fonts
            "img-src 'self' data:",
            f"connect-src 'self'{sockets}",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )


def _cache_control(path: str, status: int) -> str:
    """Return the Cache-Control header. Assets never change: Vite puts a hash of the content in each name."""
    is_asset = "/assets/" in path and status in (200, 304)
    return "public, max-age=31536000, immutable" if is_asset else "no-cache"
