"""gql 4: follow all transfers over a WebSocket, and resume by cursor after a lost connection.

Install `gql[websockets]`. Usage: python follow.py ws://127.0.0.1:8000/graphql TOKEN [CURSOR]
"""

import asyncio
import json
import random
import sys
from collections.abc import AsyncGenerator, Callable
from typing import Any

from gql import Client, GraphQLRequest
from gql.transport.exceptions import TransportClosed, TransportConnectionFailed
from gql.transport.websockets import WebsocketsTransport
from websockets.exceptions import ConnectionClosedError

FORBIDDEN = 4403  # the code of a socket that is closed for its token

EVENTS = """
    subscription ($after: String) {
        transferEvents(after: $after) { cursor kind status transfer { id status } }
    }
"""


async def transfer_events(
    url: str, token: Callable[[], str], after: str | None = None
) -> AsyncGenerator[dict[str, Any]]:
    """Yield each event after the cursor once, over as many connections as it takes. Each asks for a token.

    Raise TransportQueryError for a subscription that is refused, TransportConnectionFailed for a bad token.
    `url` begins with `ws://` or `wss://`: with `http://` gql says no more than "Connect failed".
    """
    while True:
        try:
            transport = WebsocketsTransport(url=url, init_payload={"Authorization": f"Bearer {token()}"})
            async with Client(transport=transport) as session:
                async for answer in session.subscribe(GraphQLRequest(EVENTS, variable_values={"after": after})):
                    after = answer["transferEvents"]["cursor"]
                    yield answer["transferEvents"]
        except (TransportClosed, TransportConnectionFailed) as cut:
            if _is_forbidden(cut):
                raise
        await asyncio.sleep(0.5 + random.random())


def _is_forbidden(cut: Exception) -> bool:
    """Return whether the token is refused. gql keeps the close frame in the cause of its own error.

    A token that has expired does not count: the next connection asks for a fresh one.
    """
    frame = cut.__cause__.rcvd if isinstance(cut.__cause__, ConnectionClosedError) else None
    return frame is not None and frame.code == FORBIDDEN and frame.reason != "Token expired"


async def main(url: str, token: str, *after: str) -> None:
    async for event in transfer_events(url, lambda: token, *after):
        print(json.dumps(event), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
