"""Take the README's picture: GraphiQL of a demo, following a transfer. Run: python -m tests.browser.picture."""

import asyncio
import shutil
import tempfile
from pathlib import Path

from playwright.async_api import Page, ViewportSize, async_playwright, expect

from tests.browser.conftest import ARGUMENTS
from tests.browser.test_graphiql import GraphiQL
from tests.serving import serving

PICTURE = Path(__file__).with_name("graphiql.png")
SIZE: ViewportSize = {"width": 1280, "height": 760}
SHOW_QUERY = """() => {
    const editor = __MONACO.editor.getEditors().find(one => one.getModel().uri.path.endsWith("operation.graphql"));
    const line = editor.getValue().split("\\n").findIndex(text => text.startsWith("subscription"));
    editor.setScrollTop(editor.getTopForLineNumber(line + 1));
}"""
"""Scrolls past the comments that the query begins with."""


async def take(url: str) -> None:
    """Start a transfer, follow it, and take the picture once the agent talks with the destination."""
    async with async_playwright() as playwright:
        program = shutil.which("chromium") or playwright.chromium.executable_path
        async with await playwright.chromium.launch(executable_path=program, args=ARGUMENTS) as browser:
            context = await browser.new_context(viewport=SIZE, base_url=url, color_scheme="light")
            ide = await _opened(await context.new_page())
            await ide.start_transfer()
            await ide.go_to("WatchTransfer")
            await ide.run()
            await ide.reads('"status": "CONSULTING"')
            await ide.page.evaluate(SHOW_QUERY)
            await ide.page.screenshot(path=PICTURE)


async def _opened(page: Page) -> GraphiQL:
    ide = GraphiQL(page)
    await page.goto("/graphiql")
    await ide.is_ready()
    await expect(ide.tabs).to_have_count(5)
    return ide


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with serving(Path(folder), "--demo") as served:
            await take(served.url)
    print(f"{PICTURE}: {PICTURE.stat().st_size:,} bytes")


if __name__ == "__main__":
    asyncio.run(main())
