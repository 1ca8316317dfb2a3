"""Text with U+0000: PostgreSQL can't store it, so no database is asked for it or given it."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from app.api.paging import BadCursor, Cursors
from tests.api.archive import statements
from tests.security.hearing import Told, heard, told
from tests.security.walk import ROOTS, Json, document, probes
from tests.security.world import US, Estate

pytestmark = pytest.mark.slow

NO_TEXT = re.compile(r"[A-Z_]+|\d{4}-\d\d-\d\dT.*")
"""Enum values and times, which are no free text."""
REFUSALS = {"BAD_USER_INPUT", "CURSOR_INVALID", "NOT_FOUND"}


def spoilt(value: Any) -> Iterator[Any]:
    """Yield copies of the value, each with U+0000 in one of its texts."""
    match value:
        case dict():
            yield from ({**value, name: one} for name, it in value.items() for one in spoilt(it))
        case list():
            yield from ([*value[:n], one, *value[n + 1 :]] for n, it in enumerate(value) for one in spoilt(it))
        case str() if not NO_TEXT.fullmatch(value):
            yield f"{value}\0"


def spoilt_probes(root: str, name: str) -> Iterator[Json]:
    """Yield the variables with U+0000 in each text of each argument, without duplicates."""
    known = set()
    for variables in (one for probe in probes(root, name, US) for one in spoilt(probe)):
        if repr(variables) not in known:
            known.add(repr(variables))
            yield variables


def spoils(parameters: Any) -> bool:
    return "\\x00" in repr(parameters)


async def answers(estate: Estate, root: str, text: str, variables: Json) -> list[Told]:
    if root == "Subscription":
        return await heard(estate, US.viewer(), text, **variables)
    return [await told(estate, US.viewer(), text, **variables)]


@pytest.mark.parametrize(("root", "name"), [(root, name) for root, it in ROOTS.items() for name in it.fields])
async def test_no_database_is_asked_about_it_by_any_argument(alone: Estate, root: str, name: str) -> None:
    text = document(root, name, 1)
    with statements() as asked:
        for variables in spoilt_probes(root, name):
            for _, errors in await answers(alone, root, text, variables):
                assert {code(error) for error in errors} <= REFUSALS, variables
    assert [one for one in asked if spoils(one.parameters)] == []


def code(error: Json) -> str | None:
    return (error.get("extensions") or {}).get("code")


@pytest.mark.parametrize("name", ROOTS["Mutation"].fields)
async def test_a_mutation_refuses_it_as_data(alone: Estate, name: str) -> None:
    text = document("Mutation", name, 1)
    for variables in spoilt_probes("Mutation", name):
        data, _ = await told(alone, US.viewer(), text, **variables)
        (errors,) = (it for field, it in data[f"Mutation_{name}"].items() if field.endswith("_userErrors"))
        assert errors, variables


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"note": "\0"}, ["input", "note"]),
        ({"metadata": [{"key": "a", "value": "b"}, {"key": "c\0", "value": "d"}]}, ["input", "metadata", "1", "key"]),
        ({"metadata": [{"key": "a", "value": "\0"}]}, ["input", "metadata", "0", "value"]),
        ({"idempotencyKey": "k\0"}, ["input", "idempotencyKey"]),
    ],
)
async def test_the_refusal_names_the_text(alone: Estate, given: Json, field: list[str]) -> None:
    text = "mutation ($input: StartTransferInput!) { startTransfer(input: $input) { userErrors { code field } } }"
    target = {"type": "TEL", "target": "+15550009999"}
    least = {"type": "BLIND", "transfererCallId": US.id("idle"), "transfereeAddresses": [target]}
    data, _ = await told(alone, US.viewer(), text, input={**least, **given})
    assert data["startTransfer"]["userErrors"] == [{"code": "INVALID_INPUT", "field": field}]


async def test_a_filter_that_wants_it_is_bad_input(alone: Estate) -> None:
    """Such a text would match nothing. An error helps the client's author more than an empty list."""
    data, errors = await told(alone, US.viewer(), '{ calls(filter: {address: "+1\\u0000"}) { nodes { id } } }')
    assert (data, [code(error) for error in errors]) == ({"calls": None}, ["BAD_USER_INPUT"])


def test_a_cursor_that_somebody_has_made_of_it_is_none() -> None:
    cursors = Cursors.of("transfers")
    with pytest.raises(BadCursor):
        cursors.member_key(cursors.encode("2024-03-01T10:00:00Z", "\0"))
