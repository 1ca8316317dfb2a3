"""GraphiQL in a real browser, against a real server: a first visit, and the next."""

import asyncio
import json
import re
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.async_api import BrowserContext, Locator, Page, expect

from tests.serving import Served

pytestmark = pytest.mark.slow

EXAMPLES = ["LookAround", "StartTransfer", "WatchTransfers", "CompleteTransfer"]
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"

UNTIL_KEPT = """text => new Promise(done => {
    const look = () => localStorage["graphiql:tabState"]?.includes(text) ? done() : requestAnimationFrame(look);
    look();
})"""
AS_IF_VISITED_WITH = """([live, earlier]) => {
    for (const key of Object.keys(localStorage)) localStorage[key] = localStorage[key].replaceAll(live, earlier);
}"""


@dataclass(frozen=True)
class GraphiQL:
    """The page, and what a person does with it."""

    page: Page

    async def is_ready(self) -> None:
        await expect(self.query).to_contain_text(re.compile("query|mutation|subscription"), timeout=20_000)

    @property
    def query(self) -> Locator:
        return self.page.locator(".graphiql-query-editor .view-lines")

    @property
    def tool(self) -> Locator:
        """The variables or the headers, as chosen."""
        return self.page.locator(".graphiql-editor-tool .graphiql-editor:not(.hidden) .view-lines")

    @property
    def answer(self) -> Locator:
        return self.page.locator(".graphiql-response .view-lines")

    @property
    def tabs(self) -> Locator:
        return self.page.locator(".graphiql-tab-button")

    async def go_to(self, name: str) -> None:
        await self.tabs.filter(has_text=name).click()
        await expect(self.query).to_contain_text(name)

    async def type_query(self, document: str, name: str) -> None:
        await self.page.get_by_role("button", name="New tab").click()
        await self._type(self.query, document)
        await expect(self.tabs.filter(has_text=name)).to_be_visible()  # so GraphiQL has read it

    async def type_variables(self, variables: object) -> None:
        await self.page.get_by_role("button", name="Variables").click()
        await self._type(self.tool, json.dumps(variables))

    async def type_headers(self, headers: object) -> None:
        await self.page.get_by_role("button", name="Headers").click()
        await self._type(self.tool, json.dumps(headers))

    async def _type(self, editor: Locator, text: str) -> None:
        await editor.click()
        await self.page.keyboard.press("ControlOrMeta+A")
        await self.page.keyboard.insert_text(text)
        await self.page.keyboard.press("ControlOrMeta+Shift+End")  # the editor closes quotes and brackets by itself
        await self.page.keyboard.press("Delete")

    async def run(self) -> None:
        await self.page.get_by_role("button", name="Execute query").click()

    async def subscribe(self) -> tuple[Any, Any]:
        """Runs it; gives the first two messages that the page then sent: connection_init and subscribe."""
        sent: asyncio.Queue[str | bytes] = asyncio.Queue()
        self.page.once("websocket", lambda socket: socket.on("framesent", sent.put_nowait))
        await self.run()
        return json.loads(await sent.get()), json.loads(await sent.get())

    async def reads(self, text: str) -> None:
        await expect(self.answer).to_contain_text(text, timeout=20_000)

    async def has_kept(self, text: str) -> None:
        """GraphiQL keeps the tabs half a second after a change."""
        await self.page.evaluate(UNTIL_KEPT, text)


async def open_graphiql(window: BrowserContext) -> GraphiQL:
    ide = GraphiQL(await window.new_page())
    await ide.page.goto("/graphiql")
    await ide.is_ready()
    return ide


async def test_the_example_tabs_tell_a_whole_transfer(window: BrowserContext) -> None:
    ide = await open_graphiql(window)
    await expect(ide.tabs).to_have_text(EXAMPLES)
    await ide.run()
    await ide.reads('"subject": "demo')
    await ide.reads('"direction": "')

    watching = await open_graphiql(window)
    await watching.go_to("WatchTransfers")
    await watching.subscribe()

    await ide.go_to("StartTransfer")
    await ide.run()
    await ide.reads('"userErrors": []')
    found = re.search(UUID, await ide.answer.inner_text())
    assert found
    await watching.reads(found[0])
    await watching.reads('"status": "CONSULTING"')

    await ide.go_to("CompleteTransfer")
    await ide.type_variables({"input": {"transferId": found[0]}})
    await ide.run()
    await ide.reads('"userErrors": []')
    await watching.reads('"status": "COMPLETED"')


async def test_what_is_typed_is_asked_as_the_demo_customer(window: BrowserContext) -> None:
    ide = await open_graphiql(window)
    await ide.type_query("query Who { viewer { subject } }", "Who")
    await ide.run()
    await ide.reads('"subject": "demo')


async def test_a_changed_token_counts_for_the_next_subscription(window: BrowserContext, server: Served) -> None:
    authorization = f"Bearer {server.client().token}"
    ide = await open_graphiql(window)
    await ide.go_to("WatchTransfers")
    await ide.type_headers({"Authorization": "Bearer nobody's"})
    await ide.run()
    await ide.reads('"errors"')

    await ide.type_headers({"Authorization": authorization})
    init, _subscribe = await ide.subscribe()
    assert init == {"type": "connection_init", "payload": {"Authorization": authorization}}


async def test_a_later_visit_finds_its_tabs_and_is_signed_in_anew(window: BrowserContext) -> None:
    ide = await open_graphiql(window)
    await ide.type_query("query Mine { viewer { subject } }", "Mine")
    await ide.type_headers({"Authorization": "Bearer yesterday"})
    await ide.has_kept("Bearer yesterday")

    await ide.page.reload()
    await ide.is_ready()
    await expect(ide.tabs).to_have_text([*EXAMPLES, "Mine"])
    await ide.run()
    await ide.reads('"subject": "demo')


async def test_an_example_gets_the_live_call_of_each_visit(window: BrowserContext) -> None:
    yesterdays = "00000000-0000-4000-8000-000000000000"
    ide = await open_graphiql(window)
    live = await ide.page.evaluate("localStorage['transfers:callId']")
    await ide.has_kept(live)
    await ide.page.evaluate(AS_IF_VISITED_WITH, [live, yesterdays])

    await ide.page.reload()
    await ide.is_ready()
    await ide.go_to("StartTransfer")
    await expect(ide.tool).to_contain_text(live)
