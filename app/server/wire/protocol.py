"""What our HTTP and our WebSocket protocol share: the limits, the report of refusals, and the write timeout."""

import asyncio
import logging
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from app.limits import TransportLimits
from app.server.quota import Quota

logger = logging.getLogger(__name__)

TurnedAway = Callable[[str], None]
"""Called with the error code of each request that is refused before the application sees it."""


class Config(uvicorn.Config):
    WRITTEN_AGAINST = "uvicorn 0.54.0"

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
            ws_per_message_deflate=False,  # compression takes 40 kB a socket and twice the CPU; bandwidth is not scarce
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="on",
            reset_contextvars=True,  # otherwise a pipelined request logs the ids of the request before it
            timeout_graceful_shutdown=2,
        )
        self.limits = limits
        self.turned_away = turned_away
        self.addresses = Quota(limits.address_connections)
        # The middleware is made only to read its list of trusted proxies; it never calls the application.
        # The type error: uvicorn and Starlette have different types for an application.
        self.proxies = ProxyHeadersMiddleware(app, self.forwarded_allow_ips).trusted_hosts  # type: ignore[arg-type]


class LimitedProtocol(asyncio.Protocol):
    """A mixin for uvicorn's protocols. It aborts a connection whose client reads too slowly.

    With a full write buffer, `send` and a graceful close both block. So a timer starts at the high-water mark of the
    buffer. It aborts the connection, unless the client reads enough to bring the buffer below its low-water mark.
    """

    config: uvicorn.Config
    transport: asyncio.Transport
    _write_timer: asyncio.TimerHandle | None = None

    @property
    def _config(self) -> Config:
        assert isinstance(self.config, Config)
        return self.config

    @property
    def _limits(self) -> TransportLimits:
        return self._config.limits

    def _report_refusal(self, code: str) -> None:
        logger.info("request refused", extra={"outcome": code})
        self._config.turned_away(code)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_timer = asyncio.get_running_loop().call_later(self._limits.send_timeout, self.transport.abort)

    def resume_writing(self) -> None:
        self._stop_write_timer()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_write_timer()
        super().connection_lost(exc)

    def _stop_write_timer(self) -> None:
        if self._write_timer:
            self._write_timer.cancel()
