"""The README files say what is true: tables, diagrams and layouts agree with the code, and links lead somewhere."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.api.metering import budget, cost, price
from app.api.metering.limits import Limits
from app.limits import TransportLimits
from app.telephony.simulator.behaviour import NUMBERS
from tests.readme.generated import diagram, settings_table
from tests.readme.pages import API, HOUSE, PAGES, README, ROOT, SERVER, SIMULATOR, TESTS, block, rows, table

PICTURE = ROOT / "tests" / "browser" / "graphiql.png"
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"[A-Z]+(_[A-Z]+)*")
COUNTED = {f"TOO_MANY_{what}" for what in ("ALIASES", "DIRECTIVES", "REPEATS", "SPREADS")}
"""Codes that the source puts together."""


def test_the_readme_can_be_read_at_a_sitting() -> None:
    assert len(README.read_text().splitlines()) <= 200


def test_the_diagram_is_the_table() -> None:
    assert block("diagram") == diagram(), "make readme writes it"


def test_every_setting_is_in_the_table() -> None:
    assert table("settings", HOUSE) == settings_table(), "make readme writes it"


def test_the_picture_is_there_and_small() -> None:
    assert f"({PICTURE.relative_to(ROOT)})" in README.read_text()
    assert PICTURE.stat().st_size < 150_000


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_to_a_heading_in_it(page: Path) -> None:
    for link in LINK.findall(page.read_text()):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert link.startswith("http") or target.exists(), link
        assert not anchor or anchor in set(anchors(target)), link


def anchors(page: Path) -> Iterator[str]:
    for heading in re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE):
        yield re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", [README, HOUSE, TESTS], ids=lambda page: str(page.relative_to(ROOT)))
def test_what_the_layout_names_is_there(page: Path) -> None:
    folder = page.parent
    for line in block("layout", page).splitlines():
        name = line.split()[0]
        path = (folder if line.startswith(" ") else page.parent) / name
        assert path.exists(), line
        folder = path if name.endswith("/") and not line.startswith(" ") else folder


def test_every_folder_of_the_app_is_in_its_layout() -> None:
    folders = {f"{path.parent.name}/" for path in (ROOT / "app").glob("*/__init__.py")}
    assert folders <= {line.split()[0] for line in block("layout", HOUSE).splitlines()}


def test_every_number_of_the_simulator_is_in_its_table() -> None:
    assert [(f"`{number}`", f"`{word}`") for number, word, _ in NUMBERS] == [
        (number, word) for number, word, _ in rows("numbers", SIMULATOR)
    ]


def constants() -> set[object]:
    """Return every constant in the source of the API and of the server."""
    files = (*(ROOT / "app" / "api").rglob("*.py"), *(ROOT / "app" / "server").rglob("*.py"))
    nodes = (node for file in files for node in ast.walk(ast.parse(file.read_text())))
    return {node.value for node in nodes if isinstance(node, ast.Constant)}


def test_the_codes_of_errors_are_in_the_source() -> None:
    codes = {code for _, cell, _ in rows("errors", SERVER) for code in re.findall(r"`(\w+)`", cell)}
    assert codes - COUNTED <= constants()
    assert codes >= COUNTED


def test_no_code_of_an_error_is_left_out() -> None:
    source = (ROOT / "app" / "server" / "errors.py").read_text()
    named = {node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant)}
    shown = table("errors", SERVER)
    assert [code for code in named if isinstance(code, str) and CODE.fullmatch(code) and f"`{code}`" not in shown] == []


def test_the_codes_that_close_a_socket_are_in_the_source() -> None:
    codes = {int(code) for code, _ in rows("close codes", SERVER)}
    given_by_the_library = {1007, 1009}
    assert codes - given_by_the_library <= constants()
    own = {code for code in constants() if isinstance(code, int) and 4400 <= code < 4600}
    assert own <= codes


def test_the_costs_are_those_in_force() -> None:
    limits, text = Limits(), API.read_text()
    for number in (limits.max_cost, limits.budget, limits.budget_rate):
        assert f"{number:,.0f} points" in text
    points = {what: [int(number) for number in re.findall(r"\d+", cell)] for what, cell in rows("costs", API)}
    assert points == {
        "an object": [1, 1, cost.WIDTH],
        "a list": [price.PAGE],
        "a mutation": [cost.MUTATION],
        "the start of a subscription": [cost.SUBSCRIPTION],
        "an event of a subscription": [cost.EVENT],
        "a text that may be long": [price.CHARACTERS],
        "an argument": [1, cost.FREE_INPUTS],
        "`totalCount`, `transferCounts`": [1, budget.ROWS],
        "a document that is new to the server": [1, round(1 / limits.reading)],
    }


def test_the_times_of_a_socket_are_those_in_force() -> None:
    assert f"within {TransportLimits().init_timeout:.0f} seconds" in table("close codes", SERVER)
    assert f"Every {TransportLimits().heartbeat:.0f} seconds" in SERVER.read_text()
