"""The server as it is put together."""

from pathlib import Path

import httpx
import pytest

from app.main import build_server
from app.settings import Settings


async def ask(server_name: str, is_demo: bool, folder: Path) -> int:
    settings = Settings(database_url=f"sqlite+aiosqlite:///{folder / 'transfers.sqlite3'}")
    server = build_server(settings, is_demo)
    transport = httpx.ASGITransport(app=server.app)
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{server_name}") as client:
        return (await client.get("/healthz")).status_code


@pytest.mark.parametrize(
    ("name", "status"), [("localhost:8000", 200), ("127.0.0.1", 200), ("[::1]:8000", 200), ("evil.example", 400)]
)
async def test_a_demo_answers_to_its_own_names_alone(name: str, status: int, tmp_path: Path) -> None:
    assert await ask(name, True, tmp_path) == status


async def test_a_server_behind_a_proxy_answers_to_any_name(tmp_path: Path) -> None:
    assert await ask("transfers.example.com", False, tmp_path) == 200
