"""Every list of the schema has a price beside it."""

from collections.abc import Iterator

import pytest
from graphql import GraphQLField, GraphQLObjectType, get_named_type, get_nullable_type, is_composite_type, is_list_type

from app.api.metering.price import list_size_of, weight_of
from app.api.schema import build_schema

SCHEMA = build_schema()._schema


def fields() -> Iterator[tuple[str, str, GraphQLField]]:
    for type_ in SCHEMA.type_map.values():
        if isinstance(type_, GraphQLObjectType) and not type_.name.startswith("__"):
            yield from ((type_.name, name, field) for name, field in type_.fields.items())


LISTS = [
    (owner, name)
    for owner, name, field in fields()
    if is_list_type(get_nullable_type(field.type)) and is_composite_type(get_named_type(field.type))
]


def field_of(owner: str, name: str) -> GraphQLField:
    type_ = SCHEMA.type_map[owner]
    assert isinstance(type_, GraphQLObjectType)
    field: GraphQLField = type_.fields[name]
    return field


@pytest.mark.parametrize(("owner", "name"), LISTS)
def test_a_list_says_how_long_it_may_be_or_the_connection_that_it_belongs_to_does(owner: str, name: str) -> None:
    if list_size_of(field_of(owner, name)):
        return
    sizes = [list_size_of(field) for _, _, field in fields() if get_named_type(field.type).name == owner]
    assert sizes, f"{owner}.{name} has no list size: declare one beside its description"
    for size in sizes:
        assert size, f"{owner}.{name} has no list size: declare one beside its description"
        assert name in size.sized_fields


def test_slicing_arguments_are_arguments_of_the_field() -> None:
    for _, _, field in fields():
        size = list_size_of(field)
        assert not size or not size.slicing_arguments or set(size.slicing_arguments) & set(field.args)


def test_a_long_text_weighs_as_much_as_it_may_be_long() -> None:
    weights = {f"{owner}.{name}": weight_of(field) for owner, name, field in fields()}
    assert weights["Transfer.note"] == 100
    assert weights["MetadataEntry.value"] == 25
    assert weights["Transfer.status"] == 1
