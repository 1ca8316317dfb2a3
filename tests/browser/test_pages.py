"""The landing page and the reference in a real browser: on any screen, without scripts, and for everybody."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from playwright.async_api import Browser, BrowserContext, Page, expect

from tests.serving import Served, serving

pytestmark = pytest.mark.slow

COME_BACK = "document.dispatchEvent(new Event('visibilitychange'))"
"""The page looks after the server at once when its tab is shown again."""


@asynccontextmanager
async def opened(browser: Browser, server: Served, path: str, **options: object) -> AsyncIterator[Page]:
    async with await browser.new_context(base_url=server.url, **options) as context:  # type: ignore[arg-type]
        page = await context.new_page()
        await page.goto(path)
        yield page


async def shell(script: str) -> str:
    process = await asyncio.create_subprocess_exec("sh", "-c", script, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    return output.decode()


@pytest.mark.parametrize("path", ["/", "/docs"])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_everybody_can_read_a_page_on_any_screen(
    browser: Browser, server: Served, path: str, width: int, scheme: str
) -> None:
    screen = {"width": width, "height": 900}
    async with opened(browser, server, path, viewport=screen, color_scheme=scheme) as page:
        for contents in await page.locator("details").all():
            await contents.evaluate("it => it.open = true")
        found = await Axe().run(page)
        assert found.response["violations"] == [], found.generate_report()
        assert await page.evaluate("document.documentElement.scrollWidth") <= width


async def test_a_visit_asks_nothing_of_elsewhere_and_brings_no_complaint(window: BrowserContext) -> None:
    page = await window.new_page()
    await page.goto("/")
    await page.evaluate(COME_BACK)
    await page.get_by_role("link", name="Reference").first.click()
    await expect(page.get_by_role("heading", name="Reference")).to_be_visible()
    await page.get_by_text("Mutations", exact=True).first.click()
    await page.get_by_role("link", name="startTransfer", exact=True).first.click()
    await expect(page.locator("[id='Mutation.startTransfer']")).to_be_in_viewport()


async def test_a_page_needs_no_scripts(browser: Browser, server: Served) -> None:
    async with opened(browser, server, "/", java_script_enabled=False) as page:
        await expect(page.get_by_role("status")).to_contain_text("Ready")
        await expect(page.get_by_role("button", name="Copy")).to_have_count(0)
        await page.get_by_role("link", name="Reference").first.click()
        await expect(page.get_by_role("img", name="The statuses of a transfer")).to_be_visible()


async def test_the_curl_command_runs_as_it_is_copied(browser: Browser, server: Served) -> None:
    async with opened(browser, server, "/", permissions=["clipboard-read", "clipboard-write"]) as page:
        button = page.get_by_role("button", name="Copy: the curl command")
        await button.click()
        await expect(button).to_have_text("Copied")
        copied = await page.evaluate("navigator.clipboard.readText()")
    answer = json.loads(await shell(copied))
    assert len(answer["data"]["calls"]["nodes"]) >= 2


async def test_the_landing_page_notices_that_the_server_is_away(browser: Browser, tmp_path: Path) -> None:
    async with serving(tmp_path) as server, opened(browser, server, "/") as page:
        status = page.get_by_role("status")
        await expect(status).to_contain_text("Ready")
        await server.kill()
        await page.evaluate(COME_BACK)
        await expect(status).to_contain_text("The server does not respond")
