"""The page of the recipes: every link leads to a file, and every recipe is linked."""

import re

from tests.clients.running import CLIENTS

LINKED = {CLIENTS / path for path in re.findall(r"\]\(([^)#]+)", (CLIENTS / "README.md").read_text())}


def test_every_link_leads_to_a_file() -> None:
    assert [path for path in LINKED if not path.is_file()] == []


def test_every_recipe_is_linked() -> None:
    recipes = {path for path in (CLIENTS / "recipes").rglob("*.*") if path.suffix != ".pyc"}
    assert recipes - LINKED == set()
