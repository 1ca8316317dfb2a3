"""Serves an application until the process is told to stop, and then ends its work in good order."""

import asyncio
import logging
import resource
import socket
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace

import uvicorn
from starlette.types import ASGIApp

from app.server.limits import TransportLimits
from app.server.wire.http import PatientHTTP
from app.server.wire.patience import Config, TurnedAway
from app.server.wire.websocket import PatientWebSocket

logger = logging.getLogger(__name__)

SPARE_FILES = 100
"""For the database, and for what we ask others."""
Drain = Callable[[], Awaitable[None]]
DEFAULTS = TransportLimits()


class Server(uvicorn.Server):
    """uvicorn, which closes all sockets at once when it is told to stop; this one lets `drain` end them first."""

    def __init__(self, config: uvicorn.Config, drain: Drain, grace_seconds: float) -> None:
        super().__init__(config)
        self._drain = drain
        self._grace_seconds = grace_seconds

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()  # takes no new connections
        await self._finish()
        await super().shutdown(sockets)

    async def _finish(self) -> None:
        try:
            async with asyncio.timeout(self._grace_seconds):
                await self._drain()
        except TimeoutError:
            logger.warning("Some work was not done within %s seconds", self._grace_seconds)
        except Exception:
            logger.exception("The end was not in good order")


def patient(app: ASGIApp, limits: TransportLimits, turned_away: TurnedAway = lambda code: None) -> Config:
    return Config(app, PatientHTTP, PatientWebSocket, limits, turned_away)


def allow_many_files() -> int:
    """As many as the operator's hard limit has: the usual soft one of 1,024 is one connection each."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return sys.maxsize if most == resource.RLIM_INFINITY else most


def within(files: int, limits: TransportLimits) -> TransportLimits:
    """A connection that no file is left for would be dropped without a word, and others with it."""
    if limits.connections + SPARE_FILES <= files:
        return limits
    connections = max(1, files - SPARE_FILES)
    logger.info("At most %s connections, since the process may have %s files open", connections, files)
    return replace(limits, connections=connections)


async def serve(
    app: ASGIApp,
    listener: socket.socket,
    drain: Drain,
    grace_seconds: float,
    limits: TransportLimits = DEFAULTS,
    turned_away: TurnedAway = lambda code: None,
) -> None:
    """Until SIGTERM or SIGINT. Then work in flight has `grace_seconds`, and two more until it is cancelled."""
    config = patient(app, within(allow_many_files(), limits), turned_away)
    await Server(config, drain, grace_seconds).serve(sockets=[listener])
