"""The routes of the landing page and the reference, and what the pages link to."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from hashlib import sha256
from importlib import import_module
from types import ModuleType

from graphql import GraphQLSchema
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from app.server.graphiql import SecurityHeaders
from app.server.pages import STATIC

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
NAME_OF_A_HOST = re.compile(r"[\w.\-]+(:\d+)?|\[[0-9a-fA-F:.]+\](:\d+)?")


class Site:
    """Serve the landing page and, when a schema is given, the reference.

    `graphiql` and `metrics` say whether this server serves those: the pages link to nothing that is absent. `token`
    makes a token of the demo customer; None outside of a demo.
    """

    def __init__(
        self,
        is_ready: Callable[[], Awaitable[bool]],
        schema: GraphQLSchema | None,
        *,
        graphiql: bool,
        metrics: bool,
        token: Callable[[], str] | None = None,
    ) -> None:
        self._is_ready = is_ready
        self._schema = schema
        self._links = {"graphiql": graphiql, "metrics": metrics, "reference": schema is not None}
        self._token = token
        self._reference: tuple[bytes, str] | None = None

    def routes(self) -> list[Route | Mount]:
        """Return none when there is neither GraphiQL nor a reference: then this server has no pages."""
        if not self._links["graphiql"] and self._schema is None:
            return []
        headers = [Middleware(SecurityHeaders, policy=lambda host: POLICY)]
        docs = [Route("/docs", self._docs, middleware=headers)] if self._schema else []
        static = Mount("/static", StaticFiles(directory=STATIC), middleware=headers)
        return [Route("/", self._landing, middleware=headers), *docs, static]

    async def _landing(self, request: Request) -> Response:
        token = self._token() if self._token else None
        content = {"url": _url(request), "is_ready": await self._is_ready(), "token": token, **self._links}
        page = await _in_thread(lambda: _templates().landing_page(content))
        return HTMLResponse(page, headers={"Cache-Control": "no-store"})

    async def _docs(self, request: Request) -> Response:
        page, etag = self._reference = self._reference or await self._written()
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers={"ETag": etag})
        return HTMLResponse(page, headers={"ETag": etag})

    async def _written(self) -> tuple[bytes, str]:
        """Write the reference, and its ETag. The schema does not change while the server runs: once is enough."""
        text = await _in_thread(lambda: _templates().reference_page(self._schema, self._links))
        page = text.encode()
        return page, f'"{sha256(page).hexdigest()[:32]}"'


async def _in_thread(write: Callable[[], str]) -> str:
    """Write a page in a thread: the reference, or the import of Jinja, would delay every call by 100 ms."""
    return await asyncio.to_thread(write)


def _templates() -> ModuleType:
    return import_module("app.server.pages.templates")


def _url(request: Request) -> str:
    """Return the server's address as this browser knows it."""
    host = request.headers.get("host", "")
    return f"{request.url.scheme}://{host if NAME_OF_A_HOST.fullmatch(host) else 'localhost'}"
