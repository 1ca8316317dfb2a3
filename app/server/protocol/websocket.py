"""GraphQL over WebSocket: who may open a socket, and how all of them end together."""

import asyncio
import uuid
from contextlib import suppress

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.http.websocket_origin import is_same_origin
from structlog.contextvars import bind_contextvars

from app.server.errors import SERVICE_UNAVAILABLE
from app.server.protocol.inflight import InFlight
from app.server.protocol.origins import ORIGIN_NOT_ALLOWED, about_origin
from app.server.protocol.session import CROWDED, GONE, Close, Conversation, House
from app.server.quota import QuotaExceeded, address_key

PROTOCOL = "graphql-transport-ws"


class WebSockets:
    """An ASGI application for the sub-protocol graphql-transport-ws. Legacy graphql-ws is not spoken."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._open: set[Conversation] = set()
        self._in_flight = InFlight()
        self._draining = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        websocket, request_id = WebSocket(scope, receive, send), uuid.uuid4().hex
        bind_contextvars(request_id=request_id)
        if self._draining:
            self._house.journal.refused(SERVICE_UNAVAILABLE, request_id)
            await websocket.send_denial_response(Response(status_code=503, headers={"retry-after": "1"}))
        elif not self._welcome(websocket):
            about = about_origin(websocket.headers.get("origin", ""))
            self._house.journal.refused(ORIGIN_NOT_ALLOWED, request_id, **about)
            await websocket.close()  # before it is accepted: a 403
        else:
            with self._in_flight.one(), suppress(*GONE):
                await self._accept(websocket, request_id)

    async def drain(self) -> None:
        """End them, each when its queries and mutations are done."""
        self._draining = True
        async with asyncio.TaskGroup() as farewells:
            for conversation in self._open:
                farewells.create_task(conversation.drain())
        await self._in_flight.settle()

    def _welcome(self, websocket: WebSocket) -> bool:
        # Browsers name the page's origin, and ask nobody before they open a socket; other clients name none.
        origin = websocket.headers.get("origin")
        if origin is None or is_same_origin(origin, websocket.headers.get("host")):
            return True
        return self._house.origins.allows(origin)

    async def _accept(self, websocket: WebSocket, request_id: str) -> None:
        spoken = PROTOCOL in websocket["subprotocols"]
        await websocket.accept(PROTOCOL if spoken else None)
        try:
            with self._house.addresses.slot(address_key(websocket.client)):
                await self._converse(websocket, request_id, spoken)
        except Close as close:
            await self._turn_away(websocket, request_id, close)
        except QuotaExceeded:
            await self._turn_away(websocket, request_id, Close(*CROWDED))

    async def _turn_away(self, websocket: WebSocket, request_id: str, close: Close) -> None:
        self._house.journal.refused(str(close.refusal), request_id)
        await websocket.close(close.code, close.reason)

    async def _converse(self, websocket: WebSocket, request_id: str, spoken: bool) -> None:
        if not spoken:
            raise Close(4406, "Subprotocol not acceptable", "NOT_ACCEPTABLE")
        if self._draining:
            raise Close(1012, "Service restart", SERVICE_UNAVAILABLE)
        conversation = Conversation(websocket, self._house, request_id)
        self._open.add(conversation)
        try:
            await conversation.last()
        finally:
            self._open.discard(conversation)
