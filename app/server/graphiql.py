"""GraphiQL: a page to ask by hand, with every asset served from here."""

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
    """The page at /graphiql, and what leads there.

    `session` gives what it opens with: app/web/graphiql/session.js says what that may be.
    """

    async def session_json(_request: Request) -> Response:
        return JSONResponse(await session() if session else {}, headers={"Cache-Control": "no-store"})

    routes = [Route("/session.json", session_json), Route("/{path:path}", _files(dist))]
    page = Mount("/graphiql", routes=routes, middleware=[Middleware(Guard)])
    return [Route("/", _to_the_page), Route("/graphiql", _to_the_page), page]


async def _to_the_page(_request: Request) -> Response:
    return RedirectResponse("/graphiql/")


def _files(dist: Path) -> Callable[..., object]:
    if (dist / "index.html").is_file():
        return StaticFiles(directory=dist, html=True)  # uncompressed: at 7 MB that would keep the server from its calls
    return _not_built


async def _not_built(_request: Request) -> Response:
    return HTMLResponse(NOT_BUILT, status_code=503)


class Guard:
    """Keeps the page to this origin, and says how long a browser may keep what it got."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = _policy(Headers(scope=scope).get("host", ""))
                headers["Cross-Origin-Resource-Policy"] = "same-origin"
                headers["Referrer-Policy"] = "no-referrer"
                headers["X-Content-Type-Options"] = "nosniff"
                headers.setdefault("Cache-Control", _keep(scope["path"], message["status"]))
            await send(message)

        await self.app(scope, receive, send_guarded)


def _policy(host: str) -> str:
    # Not every browser counts the WebSocket of the same host as 'self'.
    sockets = f" ws://{host} wss://{host}" if re.fullmatch(r"[\w.\-:\[\]]+", host) else ""
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "worker-src 'self'",
            "style-src 'self' 'unsafe-inline'",  # Monaco sets styles from its scripts
            "font-src 'self' data:",  # GraphiQL's style sheet holds its fonts
            "img-src 'self' data:",
            f"connect-src 'self'{sockets}",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )


def _keep(path: str, status: int) -> str:
    """Vite puts a hash of the contents in the name of each asset."""
    is_asset = "/assets/" in path and status in (200, 304)
    return "public, max-age=31536000, immutable" if is_asset else "no-cache"
