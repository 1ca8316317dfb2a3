"""Serves an application until the process is told to stop, and then ends its work in good order."""

import asyncio
import logging
import resource
import socket
from collections.abc import Awaitable, Callable

import uvicorn
from starlette.types import ASGIApp

from app.server.limits import TransportLimits
from app.server.patience import Config, TurnedAway

logger = logging.getLogger(__name__)

Drain = Callable[[], Awaitable[None]]
DEFAULTS = TransportLimits()


class Server(uvicorn.Server):
    """uvicorn, which closes all sockets at once when it is told to stop; this one lets `drain` end them first."""

    def __init__(self, config: uvicorn.Config, drain: Drain, grace: float) -> None:
        super().__init__(config)
        self._drain = drain
        self._grace = grace

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()  # takes no new connections
        await self._finish()
        await super().shutdown(sockets)

    async def _finish(self) -> None:
        try:
            async with asyncio.timeout(self._grace):
                await self._drain()
        except TimeoutError:
            logger.warning("Some work was not done within %s seconds", self._grace)
        except Exception:
            logger.exception("The end was not in good order")


def allow_many_files() -> None:
    """As many as the operator's hard limit has: the usual soft one of 1,024 is one connection each."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def serve(
    app: ASGIApp,
    listener: socket.socket,
    drain: Drain,
    grace: float = 15,
    limits: TransportLimits = DEFAULTS,
    turned_away: TurnedAway = lambda code: None,
) -> None:
    """Until SIGTERM or SIGINT. Then work in flight has `grace` seconds, and two more until it is cancelled."""
    allow_many_files()
    config = Config(app, limits, turned_away)
    await Server(config, drain, grace).serve(sockets=[listener])
