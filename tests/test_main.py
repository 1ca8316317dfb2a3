"""The server as `main` builds it."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from graphql import DocumentNode, parse

from app.api.metering.limits import Limits
from app.api.schema import sdl
from app.limits import TransportLimits
from app.main import CantStart, build_house, build_server, build_tokens
from app.settings import Settings
from tests.builders import CUSTOMER


async def ask(server_name: str, is_demo: bool, folder: Path, host: str = "127.0.0.1") -> int:
    settings = Settings(database_url=f"sqlite+aiosqlite:///{folder / 'transfers.sqlite3'}", host=host)
    server = build_server(settings, is_demo)
    transport = httpx.ASGITransport(app=server.app)
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{server_name}") as client:
        return (await client.get("/healthz")).status_code


@pytest.mark.parametrize(
    ("name", "status"), [("localhost:8000", 200), ("127.0.0.1", 200), ("[::1]:8000", 200), ("evil.example", 400)]
)
async def test_a_demo_answers_to_its_own_names_alone(name: str, status: int, tmp_path: Path) -> None:
    assert await ask(name, True, tmp_path) == status


@pytest.mark.parametrize(
    ("host", "name"), [("127.0.0.5", "127.0.0.5:8000"), ("0:0:0:0:0:0:0:1", "[0:0:0:0:0:0:0:1]:8000")]
)
async def test_a_demo_answers_to_the_address_that_it_is_bound_to(host: str, name: str, tmp_path: Path) -> None:
    assert await ask(name, True, tmp_path, host) == 200


@pytest.mark.parametrize(("is_demo", "status"), [(True, 200), (False, 400)])
async def test_pages_of_a_dev_server_may_call_a_demo_alone(is_demo: bool, status: int, tmp_path: Path) -> None:
    settings = Settings(database_url=f"sqlite+aiosqlite:///{tmp_path / 'transfers.sqlite3'}")
    transport = httpx.ASGITransport(app=build_server(settings, is_demo).app)
    asked = {"Origin": "http://localhost:5173", "Access-Control-Request-Method": "POST"}
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        assert (await client.options("/graphql", headers=asked)).status_code == status


async def test_the_token_of_a_demo_is_for_its_own_pages_alone(tmp_path: Path) -> None:
    settings = Settings(database_url=f"sqlite+aiosqlite:///{tmp_path / 'transfers.sqlite3'}")
    server = build_server(settings, is_demo=True)
    transport = httpx.ASGITransport(app=server.app)
    async with (
        server.app.router.lifespan_context(server.app),
        httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client,
    ):
        session = await client.get("/graphiql/session.json", headers={"Origin": "http://localhost:5173"})
    assert session.json()["headers"]["Authorization"].startswith("Bearer ")
    assert not [name for name in session.headers if name.startswith("access-control")]


async def test_a_server_behind_a_proxy_answers_to_any_name(tmp_path: Path) -> None:
    assert await ask("transfers.example.com", False, tmp_path) == 200


@pytest.mark.parametrize(("path", "status"), [("/graphql/", 404), ("/healthz/", 404), ("/graphiql", 307), ("/", 200)])
async def test_nobody_is_sent_to_where_the_host_header_says(path: str, status: int, tmp_path: Path) -> None:
    settings = Settings(database_url=f"sqlite+aiosqlite:///{tmp_path / 'transfers.sqlite3'}")
    transport = httpx.ASGITransport(app=build_server(settings).app)
    async with httpx.AsyncClient(transport=transport, base_url="http://evil.example") as client:
        answer = await client.get(path)
    assert answer.status_code == status
    assert answer.headers.get("location", "/graphiql/") == "/graphiql/"


async def schema_answer(folder: Path, signed_in: bool = True, **given: Any) -> httpx.Response:
    settings = Settings(database_url=f"sqlite+aiosqlite:///{folder / 'transfers.sqlite3'}", **given)
    token = build_tokens(settings).issue(CUSTOMER, "agent", [], 60)
    headers = {"Authorization": f"Bearer {token}"} if signed_in else {}
    transport = httpx.ASGITransport(app=build_server(settings).app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        return await client.get("/schema.graphql", headers=headers)


async def test_the_schema_is_served_where_introspection_is_allowed(tmp_path: Path) -> None:
    served, off = [await schema_answer(tmp_path, introspection=allowed) for allowed in (True, False)]
    assert (served.text, served.headers["content-type"]) == (sdl(), "text/plain; charset=utf-8")
    assert off.status_code == 404


async def test_it_wants_a_token_as_introspection_does(tmp_path: Path) -> None:
    answer = await schema_answer(tmp_path, signed_in=False)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert answer.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_it_is_not_served_where_only_trusted_documents_run(tmp_path: Path) -> None:
    (tmp_path / "look.graphql").write_text("query Look { viewer { subject } }")
    answer = await schema_answer(tmp_path, documents=tmp_path, documents_only=True)
    assert answer.status_code == 404


def test_the_limits_are_the_ones_that_the_parts_come_with() -> None:
    """The defaults stand twice: in the settings, and in the parts that enforce the limits."""
    settings, limits = Settings(), Limits()
    assert build_server(settings).limits == TransportLimits()
    assert (settings.max_cost, settings.budget, settings.budget_rate) == (
        limits.max_cost,
        limits.budget,
        limits.budget_rate,
    )


async def test_who_is_about_to_stop_is_not_ready(tmp_path: Path) -> None:
    server = build_server(Settings(database_url=f"sqlite+aiosqlite:///{tmp_path / 'transfers.sqlite3'}"))
    transport = httpx.ASGITransport(app=server.app)
    async with (
        server.app.router.lifespan_context(server.app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        await server.house.recovery.caught_up.wait()
        assert (await client.get("/readyz")).status_code == 200
        await server.endpoint.drain()
        assert (await client.get("/readyz")).status_code == 503


async def test_a_database_has_one_server_at_a_time(tmp_path: Path) -> None:
    settings = Settings(database_url=f"sqlite+aiosqlite:///{tmp_path / 'transfers.sqlite3'}")
    first, second = build_house(settings), build_house(settings)
    async with first.open():
        with pytest.raises(CantStart, match="is in use by another server"):
            await second.prepare()
    async with second.open():
        pass


async def test_a_document_is_parsed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The transport and the schema share the parsed document."""
    parsed: list[str] = []

    def counted(text: str, **limits: Any) -> DocumentNode:
        parsed.append(text)
        return parse(text, **limits)

    monkeypatch.setattr("app.api.execution.document.parse", counted)
    settings = Settings(database_url=f"sqlite+aiosqlite:///{tmp_path / 'transfers.sqlite3'}")
    token = build_tokens(settings).issue(CUSTOMER, "agent", [], 60)
    transport = httpx.ASGITransport(app=build_server(settings).app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        for _ in range(2):
            answer = await client.post(
                "/graphql", json={"query": "{ __typename }"}, headers={"Authorization": f"Bearer {token}"}
            )
            assert answer.json()["data"] == {"__typename": "Query"}
    assert parsed == ["{ __typename }"]
