"""Serving an application until the process is told to stop, and then shutting down gracefully."""

import asyncio
import logging
import resource
import socket
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace

import uvicorn
from starlette.types import ASGIApp

from app.limits import TransportLimits
from app.server.wire.http import LimitedHTTP
from app.server.wire.protocol import Config, TurnedAway
from app.server.wire.websocket import LimitedWebSocket

logger = logging.getLogger(__name__)

SPARE_FILES = 100
"""File descriptors that are kept free of client connections, for the database and for outgoing requests."""
Drain = Callable[[], Awaitable[None]]
DEFAULTS = TransportLimits()


class DrainingServer(uvicorn.Server):
    """A server that lets `drain` finish the work in flight before it closes connections.

    uvicorn closes all WebSockets at once when it is told to stop.
    """

    WRITTEN_AGAINST = "uvicorn 0.54.0"

    def __init__(self, config: uvicorn.Config, drain: Drain, grace_seconds: float) -> None:
        super().__init__(config)
        self._drain = drain
        self._grace_seconds = grace_seconds

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()  # stop listening
        await self._finish()
        await super().shutdown(sockets)

    async def _finish(self) -> None:
        try:
            async with asyncio.timeout(self._grace_seconds):
                await self._drain()
        except TimeoutError:
            logger.warning("Work in flight did not finish within %s seconds", self._grace_seconds)
        except Exception:
            logger.exception("The graceful shutdown failed")


def configure(app: ASGIApp, limits: TransportLimits, turned_away: TurnedAway = lambda code: None) -> Config:
    return Config(app, LimitedHTTP, LimitedWebSocket, limits, turned_away)


def listen(host: str, port: int, user_timeout: float = 20) -> socket.socket:
    """Return a listening TCP socket. Port 0 takes a free port.

    On Linux the kernel closes an accepted connection after `user_timeout` seconds in which the client acknowledges none
    of the data sent (TCP_USER_TIMEOUT, which accepted connections inherit). Without it, a connection that is closed
    with data in its write buffer could stay for ever, because asyncio first sends that data.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=2048)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(user_timeout * 1000))
    return listener


def raise_file_limit() -> int:
    """Raise the limit of open files to the operator's hard limit, and return it.

    Each connection takes a file descriptor, and the usual soft limit is 1,024.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return sys.maxsize if most == resource.RLIM_INFINITY else most


def within(files: int, limits: TransportLimits) -> TransportLimits:
    """Return the limits with no more connections than there are file descriptors for them.

    Without a free file descriptor, `accept` fails, and so does every other use of a file.
    """
    if limits.connections + SPARE_FILES <= files:
        return limits
    connections = max(1, files - SPARE_FILES)
    logger.info("Connections are limited to %s, because the process may open only %s files", connections, files)
    return replace(limits, connections=connections)


async def serve(
    app: ASGIApp,
    listener: socket.socket,
    drain: Drain,
    grace_seconds: float,
    limits: TransportLimits = DEFAULTS,
    turned_away: TurnedAway = lambda code: None,
) -> None:
    """Serve until SIGTERM or SIGINT. Work in flight then has `grace_seconds`, and is cancelled two seconds later."""
    config = configure(app, within(raise_file_limit(), limits), turned_away)
    await DrainingServer(config, drain, grace_seconds).serve(sockets=[listener])
