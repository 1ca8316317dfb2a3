"""A running server, and headless Chromium that looks at it."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, async_playwright

from app.web.build import GRAPHIQL, is_fresh
from tests.serving import Served, serving

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """The product in demo mode."""
    if not is_fresh(GRAPHIQL):
        pytest.fail("GraphiQL is not built: run `make web`")
    async with serving(tmp_path_factory.mktemp("demo"), "--demo", simulator_pace=20) as served:
        yield served


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """The product on loopback, not in demo mode."""
    async with serving(tmp_path_factory.mktemp("house"), simulator_pace=20) as served:
        yield served


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        program = shutil.which("chromium") or shutil.which("google-chrome") or playwright.chromium.executable_path
        if not shutil.which(program):
            pytest.skip("no Chromium here: `.venv/bin/playwright install chromium` gets one")
        async with await playwright.chromium.launch(executable_path=program, args=ARGUMENTS) as browser:
            yield browser


@pytest.fixture
async def window(browser: Browser, server: Served) -> AsyncIterator[BrowserContext]:
    """The browser of a person who looks at the demo."""
    async with looking(browser, server) as context:
        yield context


@pytest.fixture
async def house_window(browser: Browser, house: Served) -> AsyncIterator[BrowserContext]:
    """The browser of a person who looks at a server that isn't in demo mode."""
    async with looking(browser, house) as context:
        yield context


@asynccontextmanager
async def looking(browser: Browser, server: Served) -> AsyncIterator[BrowserContext]:
    """Afterwards: nothing was asked of another origin, and no page complained."""
    context = await browser.new_context(viewport={"width": 1280, "height": 900}, base_url=server.url)
    asked: list[str] = []
    complaints: list[str] = []

    def listen(page: Page) -> None:
        page.on("request", lambda request: asked.append(request.url))
        page.on("websocket", lambda opened: asked.append(opened.url.replace("ws", "http", 1)))
        page.on("console", lambda message: complaints.extend(_complaint(message)))
        page.on("pageerror", lambda error: complaints.extend(_unexpected(str(error))))

    context.on("page", listen)
    async with context:
        yield context
    assert asked
    assert [url for url in asked if not url.startswith((server.url + "/", "data:", "blob:"))] == []
    assert complaints == []


def _complaint(message: ConsoleMessage) -> list[str]:
    return _unexpected(message.text) if message.type in ("error", "warning") else []


def _unexpected(text: str) -> list[str]:
    """GraphiQL and Chromium tell of a bad token there."""
    is_expected = (
        text.startswith("Socket closed with event 4403") or "the server responded with a status of 401" in text
    )
    return [] if is_expected else [text]
