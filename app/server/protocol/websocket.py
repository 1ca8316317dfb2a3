"""GraphQL over WebSocket: which WebSockets are accepted, and how all of them end at a shutdown."""

import asyncio
import uuid
from contextlib import suppress

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.http.websocket_origin import is_same_origin
from structlog.contextvars import bind_contextvars

from app.server.errors import SERVICE_UNAVAILABLE
from app.server.protocol.origins import ORIGIN_NOT_ALLOWED, about_origin
from app.server.protocol.session import GONE, TOO_MANY_SOCKETS, Close, Session, Shared
from app.server.quota import QuotaExceeded, address_key

PROTOCOL = "graphql-transport-ws"


class WebSockets:
    """An ASGI application for the subprotocol graphql-transport-ws. The legacy graphql-ws is not supported."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._sessions: set[Session] = set()
        self._draining = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        websocket, request_id = WebSocket(scope, receive, send), uuid.uuid4().hex
        bind_contextvars(request_id=request_id)
        if self._draining:
            self._shared.journal.refused(SERVICE_UNAVAILABLE, request_id)
            await websocket.send_denial_response(Response(status_code=503, headers={"retry-after": "1"}))
        elif not self._allows_origin(websocket):
            about = about_origin(websocket.headers.get("origin", ""))
            self._shared.journal.refused(ORIGIN_NOT_ALLOWED, request_id, **about)
            await websocket.close()  # closing before accepting answers the handshake with 403
        else:
            with suppress(*GONE):
                await self._accept(websocket, request_id)

    async def drain(self) -> None:
        """End every session after its queries and mutations, and accept no further WebSocket."""
        self._draining = True
        async with asyncio.TaskGroup() as tasks:
            for session in self._sessions:
                tasks.create_task(session.drain())

    def _allows_origin(self, websocket: WebSocket) -> bool:
        # A browser opens a WebSocket to any server without CORS, but it sends the origin of the page. Other clients
        # send no Origin header.
        origin = websocket.headers.get("origin")
        if origin is None or is_same_origin(origin, websocket.headers.get("host")):
            return True
        return self._shared.origins.allows(origin)

    async def _accept(self, websocket: WebSocket, request_id: str) -> None:
        is_supported = PROTOCOL in websocket["subprotocols"]
        await websocket.accept(PROTOCOL if is_supported else None)
        try:
            with self._shared.addresses.slot(address_key(websocket.client)):
                await self._run(websocket, request_id, is_supported)
        except Close as close:
            await self._refuse(websocket, request_id, close)
        except QuotaExceeded:
            await self._refuse(websocket, request_id, Close(*TOO_MANY_SOCKETS))

    async def _refuse(self, websocket: WebSocket, request_id: str, close: Close) -> None:
        self._shared.journal.refused(str(close.error_code), request_id)
        await websocket.close(close.code, close.reason)

    async def _run(self, websocket: WebSocket, request_id: str, is_supported: bool) -> None:
        if not is_supported:
            raise Close(4406, "Subprotocol not acceptable", "NOT_ACCEPTABLE")
        if self._draining:
            raise Close(1012, "Service restart", SERVICE_UNAVAILABLE)
        session = Session(websocket, self._shared, request_id)
        self._sessions.add(session)
        try:
            await session.run()
        finally:
            self._sessions.discard(session)
