"""The published schema."""

from pathlib import Path

from graphql import GraphQLEnumType, GraphQLNamedType, GraphQLSchema, build_schema, is_specified_scalar_type

from app.api import schema
from app.api.schema import sdl
from tests import executing

PUBLISHED = build_schema(sdl())


def described(type_: GraphQLNamedType) -> list[tuple[str, str | None]]:
    parts = [(type_.name, type_.description)]
    for name, field in getattr(type_, "fields", {}).items():
        parts.append((f"{type_.name}.{name}", field.description))
        arguments = getattr(field, "args", {}).items()
        parts += [(f"{type_.name}.{name}({argument}:)", it.description) for argument, it in arguments]
    if isinstance(type_, GraphQLEnumType):
        parts += [(f"{type_.name}.{name}", value.description) for name, value in type_.values.items()]
    return parts


def own_types(of: GraphQLSchema) -> list[GraphQLNamedType]:
    return [
        type_
        for name, type_ in of.type_map.items()
        if not name.startswith("__") and not is_specified_scalar_type(type_)
    ]


def test_everything_is_described() -> None:
    parts = [part for type_ in own_types(PUBLISHED) for part in described(type_)]
    assert len(parts) > 400
    assert [name for name, description in parts if not description or not description.endswith((".", "`", "…"))] == []


def test_the_commands_to_the_simulator_come_last() -> None:
    """Documentation tools keep the order of the schema."""
    mutations = list(PUBLISHED.mutation_type.fields) if PUBLISHED.mutation_type else []
    are_simulated = [name.startswith("simulate") for name in mutations]
    assert mutations[0] == "startTransfer"
    assert are_simulated == sorted(are_simulated)


def test_voipbins_word_is_explained_where_it_is_used() -> None:
    used = [part for type_ in own_types(PUBLISHED) for part in described(type_) if "transferee" in part[0]]
    assert len(used) == 5
    assert [name for name, description in used if "VoIPbin's word" not in (description or "")] == []


async def test_without_introspection_the_schema_is_not_spelled_out() -> None:
    closed, nobody = executing.executor_of(schema.build_schema(introspection=False)), executing.Nobody()
    for document in ("{ __schema { queryType { name } } }", '{ __type(name: "Call") { name } }'):
        assert (await executing.ask(closed, document, nobody)).errors
    (error,) = (await executing.ask(closed, "{ viewr { subject } }", nobody)).errors
    assert "viewer" not in error.message
    assert (await executing.ask(closed, "{ __typename }", nobody)).data == {"__typename": "Query"}


def test_the_committed_schema_is_what_the_code_says() -> None:
    committed = Path(__file__).parents[2] / "schema.graphql"
    assert committed.read_text() == sdl(), "run `make schema`, and look at what changes for clients"
