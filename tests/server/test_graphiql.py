"""The routes of GraphiQL: paths, headers, the session, and the page before the build."""

from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount, Route

from app.server.graphiql import graphiql


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<title>GraphiQL</title>")
    (tmp_path / "assets" / "page-1a2b3c.js").write_text("1")
    return tmp_path


@pytest.fixture
def client(dist: Path) -> httpx.AsyncClient:
    return browse(graphiql(demo, dist))


def browse(routes: Sequence[Route | Mount]) -> httpx.AsyncClient:
    app = Starlette(routes=routes)
    app.router.redirect_slashes = False
    transport = httpx.ASGITransport(app)
    return httpx.AsyncClient(transport=transport, base_url="http://example.test:8000", follow_redirects=True)


async def demo() -> dict[str, object]:
    return {"headers": {"Authorization": "Bearer demo"}}


@pytest.mark.parametrize("path", ["/graphiql", "/graphiql/", "/graphiql/index.html"])
async def test_the_page_has_several_paths_and_is_not_cached(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert answer.text == "<title>GraphiQL</title>"
    assert answer.headers["cache-control"] == "no-cache"


async def test_an_asset_is_cached_for_good(client: httpx.AsyncClient) -> None:
    answer = await client.get("/graphiql/assets/page-1a2b3c.js")
    assert "immutable" in answer.headers["cache-control"]
    again = await client.get("/graphiql/assets/page-1a2b3c.js", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("path", ["/graphiql/assets/gone.js", "/graphiql/../graphiql.py", "/graphiql/%2e%2e/%2e%2e/x"])
async def test_a_missing_asset_is_404_and_not_cached(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 404
    assert "immutable" not in answer.headers.get("cache-control", "")


@pytest.mark.parametrize("path", ["/graphiql/", "/graphiql/assets/page-1a2b3c.js", "/graphiql/session.json"])
async def test_the_content_security_policy_confines_the_page_to_its_origin(
    client: httpx.AsyncClient, path: str
) -> None:
    headers = (await client.get(path)).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self';")
    assert "connect-src 'self' ws://example.test:8000 wss://example.test:8000;" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


async def test_an_invalid_host_is_left_out_of_the_policy(client: httpx.AsyncClient) -> None:
    answer = await client.get("/graphiql/", headers={"Host": "x; script-src *"})
    assert "*" not in answer.headers["content-security-policy"]


async def test_a_demo_page_opens_signed_in_and_its_token_is_not_cached(client: httpx.AsyncClient) -> None:
    answer = await client.get("/graphiql/session.json")
    assert answer.json() == {"headers": {"Authorization": "Bearer demo"}}
    assert answer.headers["cache-control"] == "no-store"


async def test_outside_a_demo_the_page_opens_signed_out(dist: Path) -> None:
    answer = await browse(graphiql(dist=dist)).get("/graphiql/session.json")
    assert answer.json() == {}


@pytest.mark.parametrize("path", ["/graphiql", "/graphiql/"])
async def test_before_the_build_the_page_says_how_to_build_it(tmp_path: Path, path: str) -> None:
    answer = await browse(graphiql(dist=tmp_path / "none")).get(path)
    assert answer.status_code == 503
    assert "make web" in answer.text
