"""The landing page and the reference as HTTP: what they say is true, and nothing on them leaves the origin."""

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from itertools import product
from pathlib import Path

import httpx
import pytest
from graphql import GraphQLSchema, extend_schema, parse
from starlette.applications import Starlette

import app.api
import app.server
from app.api.schema import build_schema
from app.domain.life import LIFE
from app.domain.steps import First, Fork, Row, Step, Trigger
from app.domain.transfer import TERMINAL, Status
from app.main import build_server, build_tokens
from app.server.pages.codes import CLOSE_CODES, ERROR_CODES
from app.server.pages.figure import BOX, PLACES, figure
from app.server.pages.life import TRIGGERS, stages
from app.server.pages.site import Site
from app.server.protocol.responses import STATUSES
from app.settings import Settings

PUBLIC = build_schema()._schema
PAGES = ["/", "/docs"]
LINKS = {"href", "src", "action", "data", "poster", "srcset"}
CODE = re.compile(r"[A-Z]+(_[A-Z]+)+|FORBIDDEN|THROTTLED")
NOT_SENT = {"ORIGIN_NOT_ALLOWED", "PREFLIGHT_REFUSED", "TOO_MANY_FRAMES", "TCP_USER_TIMEOUT"}
"""Names that look like codes of errors. Only the log or the system gets them."""


class Parsed(HTMLParser):
    """The elements of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self._text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self._text.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self._text).split())

    @property
    def ids(self) -> list[str]:
        return [str(attributes["id"]) for _, attributes in self.elements if "id" in attributes]

    @property
    def links(self) -> list[str]:
        return [str(value) for _, attributes in self.elements for name, value in attributes.items() if name in LINKS]


def browse(schema: GraphQLSchema | None = PUBLIC, is_up: bool = True, **more: object) -> httpx.AsyncClient:
    async def is_ready() -> bool:
        return is_up

    shown: dict[str, object] = {"graphiql": True, "metrics": True, **more}
    routes = Site(is_ready, schema, **shown).routes()  # type: ignore[arg-type]
    return httpx.AsyncClient(transport=httpx.ASGITransport(Starlette(routes=routes)), base_url="http://calls.test:8000")


async def read(path: str, schema: GraphQLSchema | None = PUBLIC, is_up: bool = True, **more: object) -> Parsed:
    async with browse(schema, is_up, **more) as client:
        answer = await client.get(path)
    assert answer.status_code == 200
    return Parsed(answer.text)


def entries(schema: GraphQLSchema) -> Iterator[str]:
    """Name every type, field, argument and value by its coordinate."""
    for name, type_ in schema.type_map.items():
        if not name.startswith("__"):
            yield name
            yield from (f"{name}.{value}" for value in getattr(type_, "values", ()))
            for field, it in getattr(type_, "fields", {}).items():
                yield f"{name}.{field}"
                yield from (f"{name}.{field}.{argument}" for argument in getattr(it, "args", ()))


def descriptions(schema: GraphQLSchema) -> Iterator[str]:
    for name, type_ in schema.type_map.items():
        if not name.startswith("__"):
            members = [*getattr(type_, "fields", {}).values(), *getattr(type_, "values", {}).values()]
            arguments = [it for member in members for it in getattr(member, "args", {}).values()]
            yield from (it.description for it in (type_, *members, *arguments) if it.description)


def constants(pick: Callable[[object], bool]) -> set[object]:
    """Return the constants that stand in the source of the server and the API."""
    folders = [Path(str(package.__file__)).parent for package in (app.api, app.server)]
    files = [file for folder in folders for file in folder.rglob("*.py") if file.parent.name != "pages"]
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text()))]
    return {node.value for node in nodes if isinstance(node, ast.Constant) and pick(node.value)}


def steps_of(row: Row) -> list[Step]:
    return [row.yes, row.no] if isinstance(row, Fork) else [row.step] if isinstance(row, First) else [row]


async def test_every_type_field_argument_and_value_has_an_entry_of_its_own() -> None:
    page = await read("/docs")
    assert set(entries(PUBLIC)) <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))


async def test_every_description_is_there() -> None:
    page = await read("/docs")
    assert [text for text in descriptions(PUBLIC) if " ".join(text.replace("`", "").split()) not in page.text] == []


async def test_every_link_within_a_page_leads_somewhere() -> None:
    for path in PAGES:
        page = await read(path, token=lambda: "secret")
        assert [link for link in page.links if link.startswith("#") and link[1:] not in page.ids] == []


async def test_a_field_shows_its_type_its_default_and_that_it_is_deprecated() -> None:
    more = 'extend type Query { old(size: [Int!] = [1, 2]): Call! @deprecated(reason: "Use `call`.") }'
    page = await read("/docs", extend_schema(PUBLIC, parse(more)))
    assert "old: Call!" in page.text
    assert "size: [Int!] = [1, 2]" in page.text
    assert "Deprecated: Use call." in page.text


async def test_a_description_can_put_no_html_and_no_address_of_elsewhere_into_the_page() -> None:
    more = 'extend type Query { "<script>alert(1)</script> ![x](https://evil.example/x.png)" bad: Int }'
    async with browse(extend_schema(PUBLIC, parse(more))) as client:
        page = (await client.get("/docs")).text
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<img" not in page.partition("<main")[2]


async def test_every_code_of_an_error_that_the_source_has_is_explained() -> None:
    in_enums = {value for type_ in PUBLIC.type_map.values() for value in getattr(type_, "values", ())}
    found = constants(lambda it: isinstance(it, str) and CODE.fullmatch(it) is not None)
    too_many = {f"TOO_MANY_{what}" for what in ("ALIASES", "DIRECTIVES", "REPEATS", "SPREADS")}
    explained = {it.code for codes in ERROR_CODES.values() for it in codes}
    assert explained - {"NOT_FOUND", "UNAUTHENTICATED"} == (found - in_enums - NOT_SENT) | too_many
    assert {f"error-{code}" for code in explained} <= set((await read("/docs")).ids)


def test_the_http_statuses_are_those_of_the_server() -> None:
    shown = {it.code: it.status for codes in ERROR_CODES.values() for it in codes}
    assert {code: shown[code] for code in STATUSES if code != "FORBIDDEN"} == {
        code: str(status) for code, status in STATUSES.items() if code != "FORBIDDEN"
    }


def test_every_code_that_closes_a_websocket_is_explained() -> None:
    found = constants(lambda it: isinstance(it, int) and (4400 <= it < 4600 or it in range(1007, 1014)))
    assert {it.code for it in CLOSE_CODES} - {1009} == found - {1010, 1011}  # 1009 is the library's


def test_the_figure_has_an_arrow_for_each_change_of_status_in_the_table() -> None:
    changes: dict[tuple[Status, Status], set[int]] = {(Status.ENDING, status): {27} for status in TERMINAL}
    for table in LIFE.values():
        for (status, _), row in table.items():
            for step in steps_of(row):
                if step.to not in (None, status):
                    changes.setdefault((status, Status(str(step.to))), set()).add(step.row)
    arrows = {(arrow.start, arrow.to): arrow.rows for arrow in figure()["arrows"]}  # type: ignore[attr-defined]
    assert arrows == {pair: ", ".join(map(str, sorted(rows))) for pair, rows in changes.items()}


def test_no_arrow_of_the_figure_crosses_another_status() -> None:
    for arrow, (status, (x, y)) in product(figure()["arrows"], PLACES.items()):  # type: ignore[call-overload]
        if status not in (arrow.start, arrow.to):
            (begin_x, begin_y), (end_x, end_y) = arrow.begin, arrow.end
            for part in range(101):
                at_x, at_y = begin_x + (end_x - begin_x) * part / 100, begin_y + (end_y - begin_y) * part / 100
                assert abs(at_x - x) > BOX[0] / 2 or abs(at_y - y) > BOX[1] / 2, (arrow, status)


async def test_every_row_of_the_life_is_in_the_table_of_its_status() -> None:
    """A status that only attended transfers have shows no row of the table of blind ones: there is no such transfer."""
    shown = {(status, entry.trigger, entry.row) for status, table in stages().items() for entry in table}
    expected = {
        (status, TRIGGERS[trigger], step.row)
        for table in LIFE.values()
        for (status, trigger), row in table.items()
        for step in steps_of(row)
    }
    assert shown == expected
    assert set(TRIGGERS) == set(Trigger)


@pytest.mark.parametrize("path", PAGES)
async def test_nothing_on_a_page_leaves_the_origin_or_runs_inline(path: str) -> None:
    async with browse() as client:
        answer = await client.get(path)
    page = Parsed(answer.text)
    assert [link for link in page.links if "//" in link or link.startswith(("/", "data:", "javascript:"))] == []
    assert [tag for tag, attributes in page.elements if tag == "style" or "style" in attributes] == []
    assert [tag for tag, attributes in page.elements if any(name.startswith("on") for name in attributes)] == []
    assert all(attributes.get("src") == "static/landing.js" for tag, attributes in page.elements if tag == "script")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_the_files_of_the_pages_are_there() -> None:
    async with browse() as client:
        for file in {link for path in PAGES for link in (await read(path)).links if link.startswith("static/")}:
            answer = await client.get(f"/{file}")
            assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-cache")


async def test_a_browser_that_has_the_reference_gets_it_no_second_time() -> None:
    async with browse() as client:
        first = await client.get("/docs")
        again = await client.get("/docs", headers={"If-None-Match": first.headers["etag"]})
        other = await client.get("/docs", headers={"If-None-Match": '"other"'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert other.text == first.text


@pytest.mark.parametrize(("is_up", "text"), [(True, "Ready:"), (False, "Not ready:")])
async def test_the_landing_page_says_whether_the_server_is_ready(is_up: bool, text: str) -> None:
    assert text in (await read("/", is_up=is_up)).text


async def test_the_landing_page_links_to_what_is_served_and_to_nothing_else() -> None:
    assert {"graphiql/", "docs", "schema.graphql", "metrics"} <= set((await read("/")).links)
    assert {"docs", "schema.graphql", "metrics"}.isdisjoint((await read("/", None, metrics=False)).links)
    assert {"graphiql/", "metrics"}.isdisjoint((await read("/", graphiql=False, metrics=False)).links)


async def test_a_server_without_graphiql_and_reference_has_no_pages() -> None:
    async with browse(None, graphiql=False) as client:
        assert [(await client.get(path)).status_code for path in (*PAGES, "/static/pages.css")] == [404] * 3


async def test_a_host_that_is_none_is_not_shown() -> None:
    async with browse() as client:
        answer = await client.get("/", headers={"Host": 'x"><script>alert(1)</script>'})
    assert "alert" not in answer.text
    assert "http://localhost/graphql" in answer.text


async def test_a_demo_hands_out_a_token_and_nobody_keeps_the_page(tmp_path: Path) -> None:
    settings = Settings(database_url=f"sqlite+aiosqlite:///{tmp_path / 'transfers.sqlite3'}")
    transport = httpx.ASGITransport(build_server(settings, is_demo=True).app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answer = await client.get("/")
    found = re.search(r'id="token">([^<]+)<', answer.text)
    assert found
    assert (await build_tokens(settings).viewer(found[1])).subject == "demo"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(("is_demo", "graphiql"), [(False, None), (True, False)])
async def test_otherwise_the_landing_page_has_no_token(is_demo: bool, graphiql: bool | None, tmp_path: Path) -> None:
    """GraphiQL's session hands a demo's token out, too: its setting goes for both."""
    settings = Settings(database_url=f"sqlite+aiosqlite:///{tmp_path / 'transfers.sqlite3'}", graphiql=graphiql)
    transport = httpx.ASGITransport(build_server(settings, is_demo=is_demo).app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        page = (await client.get("/")).text
    assert 'id="token"' not in page
    assert "Every request needs a token" in page


@pytest.mark.parametrize("hidden", [{"introspection": False}, {"documents_only": True}])
async def test_where_nobody_can_introspect_there_is_no_reference(hidden: dict[str, bool], tmp_path: Path) -> None:
    (tmp_path / "who.graphql").write_text("{ viewer { subject } }")
    url = f"sqlite+aiosqlite:///{tmp_path / 'transfers.sqlite3'}"
    settings = Settings(database_url=url, documents=tmp_path, **hidden)  # type: ignore[arg-type]
    transport = httpx.ASGITransport(build_server(settings).app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        assert (await client.get("/docs")).status_code == 404


def test_a_start_does_not_wait_for_the_templates() -> None:
    script = "import app.cli, sys; sys.exit('jinja2' in sys.modules or 'markdown_it' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
