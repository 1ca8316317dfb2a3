"""A page built with Relay, from Vite's dev server, in a browser."""

from pathlib import Path

import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, expect

from tests.clients.running import Run
from tests.serving import Client, Served
from tests.stories.desk import Desk

pytestmark = pytest.mark.slow

SOON = 30_000
"""Milliseconds in which the page must show the expected text, on a busy machine."""


async def test_a_page_that_calls_through_the_proxy_of_vite(
    run: Run, demo: Served, client: Client, browser: Browser, tmp_path: Path
) -> None:
    vite = await run.node("runs/vite.ts", str(tmp_path / "vite"), TRANSFERS_URL=demo.url)
    await _transfers(browser, (await vite.said())["url"], client)


async def test_a_page_that_calls_from_the_dev_server(
    run: Run, demo: Served, client: Client, browser: Browser, tmp_path: Path
) -> None:
    vite = await run.node("runs/vite.ts", str(tmp_path / "vite"), VITE_TRANSFERS_URL=client.url)
    await _transfers(browser, (await vite.said())["url"], client)


async def _transfers(browser: Browser, url: str, client: Client) -> None:
    """A user pages, sees a transfer start, completes it and opens its history. The console stays empty."""
    desk = Desk(client)
    for _ in range(3):
        await desk.until_ended(await desk.start(await desk.talk(), "0102"))
    page = await browser.new_page()
    complaints = _complaints(page)
    await page.goto(f"{url}/#token={client.token}")
    await expect(page.locator("output")).to_have_text(["FAILED"] * 2, timeout=SOON)
    await page.get_by_text("More transfers").click()
    await expect(page.locator("output")).to_have_text(["FAILED"] * 3, timeout=SOON)
    await _completed(page, desk)
    assert complaints == []


async def _completed(page: Page, desk: Desk) -> None:
    await desk.start(await desk.talk(), "0101")
    await expect(page.locator("output")).to_have_text(["CONSULTING", *["FAILED"] * 3], timeout=SOON)
    await page.get_by_text("Complete").first.click()
    await expect(page.locator("output").first).to_have_text("COMPLETED", timeout=SOON)
    await page.get_by_text("Steps").first.click()
    await expect(page.locator("ol li")).to_have_count(2, timeout=SOON)
    await page.get_by_text("More steps").click()
    await expect(page.locator("ol li").last).to_have_text("STATUS COMPLETED", timeout=SOON)


def _complaints(page: Page) -> list[str]:
    found: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            found.append(message.text)

    page.on("console", listen)
    page.on("pageerror", lambda error: found.append(str(error)))
    return found
