"""GraphiQL in a real browser, against a real server: a first visit, and the next."""

import asyncio
import json
import re
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.async_api import BrowserContext, Locator, Page, expect

from app.demo import CUSTOMER
from tests.serving import Served

pytestmark = pytest.mark.slow

EXAMPLES = ["LookAround", "StartTransfer", "WatchTransfer", "CompleteTransfer", "SimulateCall"]
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"

UNTIL_KEPT = """text => new Promise(done => {
    const look = () => localStorage["graphiql:tabState"]?.includes(text) ? done() : requestAnimationFrame(look);
    look();
})"""
MARKS = "() => __MONACO.editor.getModelMarkers({}).map(({ message }) => message)"
UNTIL_MARKED = f"""expected => new Promise(done => {{
    const look = () => JSON.stringify(({MARKS})()) === JSON.stringify(expected) ? done() : requestAnimationFrame(look);
    look();
}})"""
LONGEST_LINE_AND_ROOM = """() => {
    const editor = __MONACO.editor.getEditors().find(one => one.getModel().uri.path.endsWith("operation.graphql"));
    const lengths = editor.getValue().split("\\n").map(line => line.length);
    return [Math.max(...lengths), editor.getLayoutInfo().wrappingColumn];
}"""
TRANSFERABLE = (
    """subscription { callChanged(filter: { statuses: [PROGRESSING] }) { call { ownerId transfer { id } } } }"""
)


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
        await expect(self.page.locator(".graphiql-tab-active")).to_contain_text(name)

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

    async def start_transfer(self) -> str:
        """Run the second tab, and return the id that it answers with."""
        await self.go_to("StartTransfer")
        await expect(self.tool).to_contain_text(re.compile(UUID))
        await self.run()
        await self.reads('"userErrors": []')
        found = re.search(UUID, await self.answer.inner_text())
        assert found
        return found[0]

    async def id_in_variables(self) -> str:
        found = re.search(UUID, await self.tool.inner_text())
        assert found
        return found[0]

    @property
    def panel(self) -> Locator:
        return self.page.get_by_role("region", name="Sign in")

    async def sign_in(self, token: str) -> None:
        await self.panel.get_by_label("Token").fill(token)
        await self.panel.get_by_role("button", name="Sign in").click()

    async def has_kept(self, text: str) -> None:
        """GraphiQL keeps the tabs half a second after a change."""
        await self.page.evaluate(UNTIL_KEPT, text)


async def open_graphiql(window: BrowserContext) -> GraphiQL:
    ide = GraphiQL(await window.new_page())
    await ide.page.goto("/graphiql")
    await ide.is_ready()
    return ide


async def until_transferable(server: Served) -> None:
    """An agent of the demo is on a call that is in no transfer."""
    async with server.client(CUSTOMER).follow(TRANSFERABLE) as changes:
        async for change in changes:
            call = change["callChanged"]["call"]
            if call and call["ownerId"] and not call["transfer"]:
                return


async def test_the_example_tabs_tell_a_whole_transfer_in_one_window(window: BrowserContext) -> None:
    ide = await open_graphiql(window)
    await expect(ide.tabs).to_have_text(EXAMPLES)
    await ide.run()
    await ide.reads('"subject": "demo')
    await ide.reads('"direction": "')

    started = await ide.start_transfer()

    await ide.go_to("WatchTransfer")
    await expect(ide.tool).to_contain_text(started)
    await ide.run()
    await ide.reads('"status": "CONSULTING"')

    await ide.go_to("CompleteTransfer")
    await expect(ide.tool).to_contain_text(started)
    await ide.run()
    await ide.reads('"userErrors": []')

    await ide.go_to("WatchTransfer")
    await ide.run()
    await ide.reads('"status": "COMPLETED"')


async def test_a_second_window_watches_each_step(window: BrowserContext) -> None:
    ide = await open_graphiql(window)
    await ide.start_transfer()
    watching = await open_graphiql(window)
    await watching.go_to("WatchTransfer")
    await watching.run()
    await watching.reads('"status": "CONSULTING"')

    await ide.go_to("CompleteTransfer")
    await ide.run()
    await watching.reads('"status": "COMPLETED"')


async def test_the_demo_does_not_wear_out(window: BrowserContext, server: Served) -> None:
    ide = await open_graphiql(window)
    for _ in range(4):
        await until_transferable(server)
        await ide.start_transfer()
        await ide.go_to("CompleteTransfer")
        await ide.run()
        await ide.reads('"userErrors": []')


async def test_a_run_takes_another_call_when_the_one_it_shows_is_in_a_transfer(
    window: BrowserContext, server: Served
) -> None:
    ide = await open_graphiql(window)
    first = await ide.start_transfer()
    shown = await ide.id_in_variables()
    await until_transferable(server)

    await ide.run()
    await expect(ide.answer).not_to_contain_text(first)
    await ide.reads('"userErrors": []')
    assert await ide.id_in_variables() != shown


async def test_nothing_is_underlined_in_the_examples(window: BrowserContext) -> None:
    ide = await open_graphiql(window)
    await ide.start_transfer()
    for name in EXAMPLES[1:]:
        await ide.go_to(name)
        await expect(ide.tool).to_contain_text(re.compile(UUID))
        given = json.loads((await ide.tool.inner_text()).replace("\xa0", " "))
        await ide.type_variables(given | {"more": 1})
        await ide.page.evaluate(UNTIL_MARKED, ["Property more is not allowed."])


async def test_an_input_may_leave_out_what_has_a_default(window: BrowserContext) -> None:
    ide = await open_graphiql(window)
    mine = "mutation Mine($input: StartTransferInput!) { startTransfer(input: $input) { transfer { id } } }"
    await ide.type_query(mine, "Mine")
    await ide.type_variables({"input": {"type": "BLIND", "transfereeAddresses": [{"type": "TEL", "target": "x"}]}})
    await ide.page.evaluate(UNTIL_MARKED, ['Missing property "transfererCallId".'])


async def test_the_examples_fit_a_small_laptop(window: BrowserContext) -> None:
    ide = await open_graphiql(window)
    for name in EXAMPLES:
        await ide.go_to(name)
        longest, room = await ide.page.evaluate(LONGEST_LINE_AND_ROOM)
        assert longest <= room


async def test_on_a_telephone_the_panes_stand_one_below_the_other(window: BrowserContext) -> None:
    ide = await open_graphiql(window)
    await ide.page.set_viewport_size({"width": 390, "height": 844})
    panes = [".graphiql-sidebar", ".graphiql-query-editor", ".graphiql-editor-tool", ".graphiql-response"]
    boxes = [await ide.page.locator(pane).bounding_box() for pane in panes]
    bottom = 0.0
    for box in boxes:
        assert box
        assert box["y"] >= bottom
        assert box["width"] > 350
        bottom = box["y"] + box["height"]
    assert bottom <= 844
    await ide.start_transfer()


async def test_on_a_telephone_the_sign_in_is_within_reach(house_window: BrowserContext) -> None:
    ide = await open_graphiql(house_window)
    await ide.page.set_viewport_size({"width": 390, "height": 844})
    await expect(ide.panel.get_by_role("button", name="Sign in")).to_be_in_viewport(ratio=1)


async def test_the_editors_follow_the_system_into_the_dark_and_back(window: BrowserContext) -> None:
    ide = await open_graphiql(window)
    for scheme, theme in (("dark", "vs-dark"), ("light", "vs")):
        await ide.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        for editor in await ide.page.locator(".monaco-editor[role=code]").all():
            await expect(editor).to_have_class(re.compile(rf"(^| ){theme}( |$)"))


async def test_a_sign_in_holds_for_every_tab_and_brings_the_schema(house_window: BrowserContext, house: Served) -> None:
    token = house.client().token
    ide = await open_graphiql(house_window)
    await expect(ide.panel).to_contain_text("You are signed out.")
    async with ide.page.expect_response(lambda answer: "IntrospectionQuery" in (answer.request.post_data or "")):
        await ide.sign_in(token)
    await expect(ide.panel).to_contain_text("You are signed in as agent")
    await ide.page.get_by_role("button", name="Hide Sign in").click()

    await ide.run()
    await ide.reads('"subject": "agent"')
    await ide.go_to("SimulateCall")
    await ide.run()
    await ide.reads('"userErrors": []')
    started = await ide.start_transfer()
    await ide.go_to("WatchTransfer")
    init, _subscribe = await ide.subscribe()
    assert init["payload"] == {"Authorization": f"Bearer {token}"}
    await ide.reads(started)


async def test_a_sign_in_outlasts_a_reload_until_the_sign_out(house_window: BrowserContext, house: Served) -> None:
    ide = await open_graphiql(house_window)
    await ide.sign_in(house.client().token)
    await expect(ide.panel).to_contain_text("You are signed in as agent")

    await ide.page.reload()
    await ide.is_ready()
    await ide.run()
    await ide.reads('"subject": "agent"')
    await ide.page.get_by_role("button", name="Sign out").click()
    await expect(ide.panel).to_contain_text("You are signed out.")


async def test_a_token_that_the_server_does_not_accept_is_told(house_window: BrowserContext) -> None:
    ide = await open_graphiql(house_window)
    await ide.sign_in("nobody's")
    await expect(ide.panel).to_contain_text("The server did not accept the token:")


async def test_what_is_typed_is_asked_as_the_demo_customer(window: BrowserContext) -> None:
    ide = await open_graphiql(window)
    await ide.type_query("query Who { viewer { subject } }", "Who")
    await ide.run()
    await ide.reads('"subject": "demo')


async def test_a_changed_token_counts_for_the_next_subscription(window: BrowserContext, server: Served) -> None:
    authorization = f"Bearer {server.client().token}"
    ide = await open_graphiql(window)
    await ide.type_query("subscription All { transferEvents { cursor } }", "All")
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
    await ide.has_kept("query Mine")

    await ide.page.reload()
    await ide.is_ready()
    await expect(ide.tabs).to_have_text([*EXAMPLES, "Mine"])
    await ide.run()
    await ide.reads('"subject": "demo')


async def test_an_id_of_an_earlier_visit_gives_way_to_one_of_today(window: BrowserContext, server: Served) -> None:
    await until_transferable(server)
    yesterdays = "00000000-0000-4000-8000-000000000000"
    ide = await open_graphiql(window)
    await ide.go_to("StartTransfer")
    await ide.type_variables({"type": "BLIND", "transferableCall": yesterdays, "to": "+12025550101"})
    await ide.has_kept(yesterdays)

    await ide.page.reload()
    await ide.is_ready()
    await expect(ide.tool).to_contain_text(re.compile(UUID))
    await expect(ide.tool).not_to_contain_text(yesterdays)
    await expect(ide.tabs).to_have_text(EXAMPLES)
