"""The schema as text at /schema.graphql, for tools that read SDL."""

import uuid
from collections.abc import Callable
from functools import cache

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from app.server.auth import bearer
from app.server.errors import TransportError
from app.server.protocol.journal import Journal
from app.server.protocol.negotiation import JSON
from app.server.protocol.responses import error_response
from app.server.protocol.session import Authenticate


def schema_text(sdl: Callable[[], str], authenticate: Authenticate, journal: Journal) -> Route:
    """Return the route. It requires a token, as introspection does. `sdl` is called once, at the first request."""
    text = cache(sdl)

    async def schema_graphql(request: Request) -> Response:
        try:
            await authenticate(bearer(request.headers.get("authorization")))
        except TransportError as error:
            request_id = uuid.uuid4().hex
            journal.refused(error.formatted["extensions"]["code"], request_id)
            return error_response(error, JSON, request_id, http_draft=False)
        # A browser shows text/plain. It would save application/graphql, which is not a registered type, as a file.
        return PlainTextResponse(text(), headers={"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"})

    return Route("/schema.graphql", schema_graphql)
