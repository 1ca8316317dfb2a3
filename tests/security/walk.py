"""A walk through the whole schema: selections that follow every link, and values to try for every argument.

An argument that has no values to try raises KeyError. Add them to `texts`, and the new argument is covered.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
    get_named_type,
    get_nullable_type,
    is_leaf_type,
    is_list_type,
    is_required_argument,
    is_required_input_field,
)

from app.api.schema import sdl
from tests.security.world import Tenant, ids_of

PUBLISHED: GraphQLSchema = build_schema(sdl())
ROOTS = {
    it.name: it for it in (PUBLISHED.query_type, PUBLISHED.mutation_type, PUBLISHED.subscription_type) if it is not None
}
PAGES = {"first", "after", "last", "before"}
Json = dict[str, Any]


def objects(parent: GraphQLNamedType) -> dict[str, GraphQLField]:
    """Return the fields that lead to an object."""
    fields: Mapping[str, GraphQLField] = getattr(parent, "fields", {})
    return {name: it for name, it in fields.items() if not is_leaf_type(get_named_type(it.type))}


def all_links() -> set[str]:
    """Return every field of the schema that leads to an object, as `Type_field`."""
    outputs = [
        it for name, it in PUBLISHED.type_map.items() if isinstance(it, GraphQLObjectType) and not name.startswith("__")
    ]
    return {f"{it.name}_{name}" for it in outputs for name in objects(it)}


def selection(of: GraphQLNamedType, depth: int) -> str:
    """Return a selection of all leaves and of all links, `depth` levels deep, each with the alias `Type_field`."""
    if isinstance(of, GraphQLInterfaceType):
        kinds = PUBLISHED.get_possible_types(of)
        return "{ __typename " + " ".join(f"... on {it.name} {selection(it, depth)}" for it in kinds) + " }"
    links = objects(of) if depth else {}
    assert isinstance(of, GraphQLObjectType)
    leaves = [f"{of.name}_{name}: {name}" for name, it in of.fields.items() if is_leaf_type(get_named_type(it.type))]
    return "{ __typename " + " ".join([*leaves, *(_link(of, name, depth) for name in links)]) + " }"


def _link(parent: GraphQLObjectType, name: str, depth: int) -> str:
    field = parent.fields[name]
    unknown = set(field.args) - PAGES
    if unknown:
        raise KeyError(f"{parent.name}.{name} takes {unknown}: what to try for it?")
    size = "(first: 100)" if field.args else ""
    return f"{parent.name}_{name}: {name}{size} {selection(get_named_type(field.type), depth - 1)}"


def document(root: str, name: str, depth: int) -> str:
    """Return a document with one root field, and a variable for each of its arguments."""
    field = ROOTS[root].fields[name]
    named = get_named_type(field.type)
    inner = "" if is_leaf_type(named) else selection(named, depth)
    given = ", ".join(f"${it}: {_variable(argument)}" for it, argument in field.args.items())
    passed = ", ".join(f"{it}: ${it}" for it in field.args)
    taken = (f"({given})", f"({passed})") if given else ("", "")
    return f"{root.lower()} {taken[0]} {{ {root}_{name}: {name}{taken[1]} {inner} }}"


def _variable(argument: GraphQLArgument) -> str:
    """Return the type of the variable. It is nullable if the argument has a default."""
    return str(argument.type if is_required_argument(argument) else get_nullable_type(argument.type))


def texts(name: str, of: Tenant) -> list[str]:
    """Return the ids and texts to try for an argument or input field of this name."""
    known = ids_of(of) | {
        "transfererCallId": [of.id("idle"), of.id("transferer of live"), of.id("crooked")],
        "startedBy": [of.secret],
        "address": [of.address("caller").target, of.address("agent").target, of.secret],
        "idempotencyKey": [f"key of {of.name}"],
        "note": [of.secret],
        "key": ["key"],
        "value": [of.secret],
        "target": ["+15550009999"],
        "targetName": [""],
        "name": [""],
        "detail": [""],
        "after": ["cursor"],
        "before": ["cursor"],
    }
    return known[name]


def values(name: str, type_: Any, of: Tenant) -> Iterator[Any]:
    """Yield the values to try for one argument or input field."""
    bare = get_nullable_type(type_)
    named = get_named_type(type_)
    if is_list_type(bare):
        single = "id" if name == "ids" else name
        some = list(values(single, named, of))
        yield from [[], some[:100]] if isinstance(named, GraphQLInputObjectType) else [[], *([it] for it in some), some]
    elif isinstance(named, GraphQLEnumType):
        yield from (it for it in named.values if it != "UNKNOWN")
    elif isinstance(named, GraphQLInputObjectType):
        yield from inputs(named, of)
    else:
        yield from _scalars(name, named.name, of)


def _scalars(name: str, type_: str, of: Tenant) -> list[Any]:
    match type_:
        case "Boolean":
            return [True, False]
        case "Int":
            return [1, 100]
        case "DateTime":
            return [f"{year}-03-01T12:00:00Z" for year in (2000, 2026, 2100)]
    return list(texts(name, of))


def inputs(of_type: GraphQLInputObjectType, of: Tenant) -> Iterator[Json]:
    """Yield the input with its required fields alone, and then with each value of each field in turn."""
    required = {name: it for name, it in of_type.fields.items() if is_required_input_field(it)}
    least = {name: _first(name, it.type, of) for name, it in required.items()}
    yield least
    for name, it in of_type.fields.items():
        yield from ({**least, name: value} for value in values(name, it.type, of))


def _first(name: str, type_: Any, of: Tenant) -> Any:
    """Return the first value to try. For a list of ids it has all of them."""
    if not is_list_type(get_nullable_type(type_)):
        return next(values(name, type_, of))
    some = list(values("id" if name == "ids" else name, get_named_type(type_), of))
    return some if name == "ids" else some[:1]


def probes(root: str, name: str, of: Tenant) -> Iterator[Json]:
    """Yield variables for a root field, with the ids and texts of a tenant."""
    field = ROOTS[root].fields[name]
    required = {it: argument for it, argument in field.args.items() if is_required_argument(argument)}
    least = {it: _first(it, argument.type, of) for it, argument in required.items()}
    yield least
    for it, argument in field.args.items():
        yield from ({**least, it: value} for value in values(it, argument.type, of))


def all_probes(root: str, name: str, *of: Tenant) -> Iterator[Json]:
    """Yield the variables for all of these tenants, without duplicates."""
    known: set[str] = set()
    for variables in (one for it in of for one in probes(root, name, it)):
        if repr(variables) not in known:
            known.add(repr(variables))
            yield variables


def seen(data: object) -> set[str]:
    """Return the links that led somewhere, as `Type_field`."""
    found: set[str] = set()
    todo = [data]
    while todo:
        one = todo.pop()
        if isinstance(one, dict):
            found |= {name for name, value in one.items() if value}
            todo += one.values()
        elif isinstance(one, list | tuple):
            todo += one
    return found
