"""What stands in the reference: the types of the schema in groups, the codes of errors, the life of a transfer."""

from collections.abc import Callable, Mapping
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    is_enum_type,
    is_input_object_type,
    is_interface_type,
    is_object_type,
    is_scalar_type,
    is_union_type,
)

from app.server.pages.codes import CLOSE_CODES, ERROR_CODES
from app.server.pages.figure import figure
from app.server.pages.life import stages

GROUPS: Mapping[str, Callable[[Any], bool]] = {
    "Objects": is_object_type,
    "Interfaces": is_interface_type,
    "Unions": is_union_type,
    "Inputs": is_input_object_type,
    "Enums": is_enum_type,
    "Scalars": is_scalar_type,
}


def reference(schema: GraphQLSchema) -> dict[str, object]:
    """Return the content of the template reference.html."""
    statuses = schema.type_map["TransferStatus"]
    assert isinstance(statuses, GraphQLEnumType)
    return {
        "roots": roots(schema),
        "groups": groups(schema),
        "members": {name: _members(schema, type_) for name, type_ in schema.type_map.items()},
        "error_codes": ERROR_CODES,
        "close_codes": CLOSE_CODES,
        "figure": figure(),
        "stages": stages(),
        "statuses": statuses.values,
    }


def roots(schema: GraphQLSchema) -> dict[str, GraphQLObjectType]:
    """Return the types whose fields are the operations, by the heading of their section."""
    found = {"Queries": schema.query_type, "Mutations": schema.mutation_type, "Subscriptions": schema.subscription_type}
    return {title: root for title, root in found.items() if root}


def groups(schema: GraphQLSchema) -> dict[str, list[GraphQLNamedType]]:
    """Return every other type of the schema, without those of introspection, by kind and in order of their names."""
    elsewhere = [root.name for root in roots(schema).values()]
    types = [schema.type_map[name] for name in sorted(schema.type_map) if not name.startswith("__")]
    found = {
        title: [type_ for type_ in types if is_kind(type_) and type_.name not in elsewhere]
        for title, is_kind in GROUPS.items()
    }
    return {title: members for title, members in found.items() if members}


def _members(schema: GraphQLSchema, type_: GraphQLNamedType) -> list[str]:
    """Return the names of the types that an interface or a union can be, or of the interfaces of an object."""
    if isinstance(type_, GraphQLInterfaceType) or is_union_type(type_):
        return sorted(member.name for member in schema.get_possible_types(type_))
    return [interface.name for interface in getattr(type_, "interfaces", ())]
