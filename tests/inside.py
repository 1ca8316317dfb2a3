"""The server in the process of the tests, on a real port, for tests that replace adapters or look inside."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from app.limits import TransportLimits
from app.main import House, build_house, build_server
from app.ports import Engine
from app.server.wire.serve import DrainingServer, configure, listen
from app.settings import Settings
from app.telephony.simulator.simulator import Simulator
from tests.serving import SECRET, Client, token


def settings_in(folder: Path, **more: Any) -> Settings:
    """Return settings with a database in this folder, fast simulated phones and short timeouts."""
    plain: dict[str, Any] = {"simulator_pace": 50, "recall_pause": 0.05, "order_seconds": 0.3}
    url = f"sqlite+aiosqlite:///{folder / 'transfers.sqlite3'}"
    return Settings(database_url=url, auth_secret=SecretStr(SECRET), **(plain | more))


def simulated(simulator: Simulator) -> Engine:
    return Engine(telephony=simulator, simulation=simulator)


@dataclass(frozen=True)
class Inside:
    url: str
    house: House

    @property
    def simulator(self) -> Simulator:
        assert isinstance(self.house.telephony, Simulator)
        return self.house.telephony

    def client(self, *args: Any, **more: Any) -> Client:
        return Client(f"{self.url}/graphql", token(*args, **more))


@asynccontextmanager
async def inside(settings: Settings, **adapters: Any) -> AsyncIterator[Inside]:
    """Run a server until the block ends; it is ready when the block starts. `adapters` are passed to `build_house`."""
    house, limits = build_house(settings, **adapters), TransportLimits()
    built = build_server(settings, house=house)
    listener = listen("127.0.0.1", 0)
    server = DrainingServer(configure(built.app, limits), built.endpoint.drain, grace_seconds=5)
    serving = asyncio.create_task(server.serve([listener]))
    try:
        async with asyncio.timeout(20):
            await house.recovery.caught_up.wait()
        yield Inside(f"http://127.0.0.1:{listener.getsockname()[1]}", house)
    finally:
        server.should_exit = True
        await serving
