"""The production server, listening in this process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr

from app.main import build_server
from app.server.wire.serve import DrainingServer, configure, listen
from app.settings import Settings
from tests.serving import SECRET, TLS, token

RESPONSE = "application/graphql-response+json"


@dataclass(frozen=True)
class Premises:
    url: str
    settings: Settings

    def client(self, **headers: str) -> httpx.AsyncClient:
        """Return a client with a token, unless `headers` say otherwise."""
        signed_in = {"Authorization": f"Bearer {token()}", "Accept": RESPONSE}
        return httpx.AsyncClient(base_url=self.url, headers={**signed_in, **headers}, verify=TLS, timeout=30)

    @property
    def socket_url(self) -> str:
        return self.url.replace("http", "ws", 1) + "/graphql"


@asynccontextmanager
async def premises(folder: Path, is_demo: bool = False, **given: Any) -> AsyncIterator[Premises]:
    """Run a server with these settings. It listens on loopback, whatever host they name."""
    url = f"sqlite+aiosqlite:///{folder / 'transfers.sqlite3'}"
    settings = Settings(database_url=url, auth_secret=SecretStr(SECRET), **given)
    built = build_server(settings, is_demo)
    listener = listen("127.0.0.1", 0)
    server = DrainingServer(configure(built.app, built.limits), built.endpoint.drain, 5)
    serving = asyncio.create_task(server.serve([listener]))
    try:
        async with asyncio.timeout(20):  # two migrations at once in one process would share a connection
            await built.house.recovery.caught_up.wait()
        yield Premises(f"http://127.0.0.1:{listener.getsockname()[1]}", settings)
    finally:
        server.should_exit = True
        await serving
