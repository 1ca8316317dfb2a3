"""What makes uvicorn's protocols cut a peer that reads too little, and tell of those that are turned away.

A transport whose buffer is full waits for the peer, and whoever sends waits with it: closing it politely waits too.
So a timer aborts it. It stops when the peer has read enough for the buffer to take more.
"""

import asyncio
import logging
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from app.server.limits import TransportLimits
from app.server.quota import Quota

logger = logging.getLogger(__name__)

TurnedAway = Callable[[str], None]
"""Is told the code of each refusal: the application never hears of those."""


class Config(uvicorn.Config):
    def __init__(
        self,
        app: ASGIApp,
        http: type[asyncio.Protocol],
        ws: type[asyncio.Protocol],
        limits: TransportLimits,
        turned_away: TurnedAway,
    ) -> None:
        super().__init__(
            app,
            http=http,
            ws=ws,
            ws_max_size=limits.body_bytes,
            ws_per_message_deflate=False,  # 40 kB a socket and twice the work, to save bandwidth that is not scarce
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="on",
            reset_contextvars=True,  # a pipelined request would begin with the ids of the one before it
            timeout_graceful_shutdown=2,
        )
        self.limits = limits
        self.turned_away = turned_away
        self.addresses = Quota(limits.address_connections)
        # The application is not asked; it is typed in uvicorn's own words, which Starlette's do not match.
        self.proxies = ProxyHeadersMiddleware(app, self.forwarded_allow_ips).trusted_hosts  # type: ignore[arg-type]


class Patient(asyncio.Protocol):
    config: uvicorn.Config
    transport: asyncio.Transport
    _timer: asyncio.TimerHandle | None = None

    @property
    def _own(self) -> Config:
        assert isinstance(self.config, Config)
        return self.config

    @property
    def _limits(self) -> TransportLimits:
        return self._own.limits

    def _tell(self, code: str) -> None:
        logger.info("request refused", extra={"outcome": code})
        self._own.turned_away(code)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._timer = asyncio.get_running_loop().call_later(self._limits.send_timeout, self.transport.abort)

    def resume_writing(self) -> None:
        self._stop()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def _stop(self) -> None:
        if self._timer:
            self._timer.cancel()
