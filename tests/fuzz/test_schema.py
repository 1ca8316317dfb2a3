"""Documents and variables from the schema: valid ones, and ones with a single mistake."""

from collections.abc import Callable
from typing import Any

import pytest
from graphql import GraphQLInputObjectType, GraphQLInputType, GraphQLList, GraphQLNonNull, build_schema
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from hypothesis_graphql import Mode, from_schema, nodes

from app.api.schema import sdl
from tests.fuzz.asking import Asker
from tests.fuzz.flooding import flood
from tests.serving import Json
from tests.stories.desk import CALLED, STARTED, tel
from tests.watching import Watched

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

SCHEMA = build_schema(sdl())
TIMES = ("2024-03-01T10:00:00Z", "2999-01-01T00:00:00+14:00", "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00")
NUMBERS = ("+15557000100", "+15557000101", "+15557000102", "+15557000107", "+1", "x@example.org", "sips:a@b")
ODD = ("", " ", "\0", "\u202e", "𝄞", "'; DROP TABLE transfers; --", "%", "a" * 5_000, "9" * 400)


@pytest.fixture
def known(asker: Asker) -> tuple[str, ...]:
    """Return ids and cursors that exist."""
    talks = [
        asker.ask(CALLED, {"input": {"caller": tel(f"+155570{n:05}"), "agent": tel("+15557000002")}}) for n in range(6)
    ]
    made = [talk["data"]["simulateCall"] for talk in talks]
    for talk, digits in zip(made[:4], ("0107", "0107", "0101", "0102"), strict=True):
        given = {"type": "ATTENDED", "transfererCallId": talk["agentCall"]["id"]}
        asker.ask(STARTED, {"input": given | {"transfereeAddresses": [tel(f"+1555800{digits}")]}})
    page = asker.ask("{ transfers { eventCursor nodes { id groupcallId } pageInfo { endCursor } } }")["data"][
        "transfers"
    ]
    ids = [talk[part]["id"] for talk in made for part in ("callerCall", "agentCall", "conference")]
    ids += [value for node in page["nodes"] for value in node.values()]
    return (*ids, page["eventCursor"], page["pageInfo"]["endCursor"])


def checked(examples: int, draw: st.SearchStrategy[Any], check: Callable[[Any], Json]) -> None:
    """Check so many examples. They are the same in every run."""

    @seed(examples)
    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(draw)
    def run(drawn: Any) -> None:
        check(drawn)

    run()


def texts(known: tuple[str, ...]) -> st.SearchStrategy[str]:
    return st.sampled_from(known) | st.sampled_from(NUMBERS) | st.sampled_from(ODD) | st.text(max_size=20)


@pytest.mark.parametrize("mode", [Mode.POSITIVE, Mode.NEGATIVE])
def test_documents(server: Watched, asker: Asker, known: tuple[str, ...], mode: Mode, soak: bool) -> None:
    scalars = {
        "DateTime": st.sampled_from(TIMES).map(nodes.String),
        "ID": texts(known).map(nodes.String),
        "String": texts(known).map(nodes.String),
    }
    documents = from_schema(SCHEMA, mode=mode, custom_scalars=scalars)
    flood(server, 4_000 if soak else 40, lambda count: checked(count, documents, asker.ask))


def test_variables(server: Watched, asker: Asker, known: tuple[str, ...], soak: bool) -> None:
    assert SCHEMA.mutation_type
    fields = SCHEMA.mutation_type.fields
    mutations = st.sampled_from(sorted(fields)).flatmap(
        lambda name: values(fields[name].args["input"].type, known).map(lambda value: (name, value))
    )

    def ask(drawn: tuple[str, object]) -> Json:
        name, value = drawn
        type_ = fields[name].args["input"].type
        query = f"mutation ($input: {type_}) {{ {name}(input: $input) {{ userErrors {{ code message field }} }} }}"
        return asker.ask(query, {"input": value})

    flood(server, 6_000 if soak else 100, lambda count: checked(count, mutations, ask))


def values(type_: GraphQLInputType, known: tuple[str, ...]) -> st.SearchStrategy[object]:
    """Draw values that mostly have this type."""
    return st.integers(0, 19).flatmap(lambda dice: of_type(type_, known) if dice else anything(known))


def anything(known: tuple[str, ...]) -> st.SearchStrategy[object]:
    numbers = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    leaves = st.none() | st.booleans() | numbers | texts(known)
    return st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(texts(known), inner), max_leaves=8)


def of_type(type_: GraphQLInputType, known: tuple[str, ...]) -> st.SearchStrategy[object]:
    if isinstance(type_, GraphQLNonNull):
        return values(type_.of_type, known)
    if isinstance(type_, GraphQLList):
        return st.lists(values(type_.of_type, known), max_size=12)
    if isinstance(type_, GraphQLInputObjectType):
        needed = {name: field for name, field in type_.fields.items() if isinstance(field.type, GraphQLNonNull)}
        inner = {name: values(field.type, known) for name, field in type_.fields.items()}
        return st.fixed_dictionaries(
            {name: inner[name] for name in needed},
            optional={name: value for name, value in inner.items() if name not in needed},
        )
    if hasattr(type_, "values"):
        return st.sampled_from(sorted(type_.values))
    leaves: dict[str, st.SearchStrategy[object]] = {
        "Int": st.integers(0, 700) | st.integers(-(2**31), 2**31 - 1),
        "Boolean": st.booleans(),
        "DateTime": st.sampled_from(TIMES),
    }
    return leaves.get(type_.name, texts(known))
