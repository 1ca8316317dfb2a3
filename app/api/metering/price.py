"""The price of a field, which stands beside the field's description. The words are those of the IBM cost specification.

https://ibm.github.io/graphql-specs/cost-spec.html
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLField

CHARACTERS = 20
"""Characters of a text that weigh as much as one field."""
PAGE = 20
"""Members of a page if the client asks for no size."""
MOST = 100
"""The largest page."""


@dataclass(frozen=True, slots=True)
class ListSize:
    """The number of objects that a list is taken to have."""

    assumed_size: int = PAGE
    """The size if no slicing argument gives one."""
    slicing_arguments: tuple[str, ...] = ()
    """The arguments that give the size: a number, or a list as long as the result."""
    sized_fields: tuple[str, ...] = ()
    """The lists of the returned connection that have this size."""


def list_of(assumed_size: int) -> Mapping[str, Any]:
    """Return the metadata of a list that has at most so many members."""
    return {"list_size": ListSize(assumed_size)}


def text_of(characters: int) -> Mapping[str, Any]:
    """Return the metadata of a text that may have so many characters."""
    return {"weight": characters // CHARACTERS}


PAGED: Mapping[str, Any] = {
    "list_size": ListSize(slicing_arguments=("first", "last"), sized_fields=("nodes", "edges")),
}
"""The metadata of a connection."""
IDS: Mapping[str, Any] = {"list_size": ListSize(slicing_arguments=("ids",))}
"""The metadata of a list that returns one member for each of its ids."""


def metadata_of(field: GraphQLField) -> Mapping[str, Any]:
    """Return the metadata that the field was declared with, in Strawberry or in graphql-core."""
    declared = field.extensions.get("strawberry-definition")
    metadata: Mapping[str, Any] = declared.metadata if declared else field.extensions
    return metadata


def list_size_of(field: GraphQLField) -> ListSize | None:
    """Return the size of a list or connection. None: it is sized by the connection that it belongs to."""
    size: ListSize | None = metadata_of(field).get("list_size")
    return size


def weight_of(field: GraphQLField) -> int:
    """Return the weight of a scalar field, compared with a short one."""
    weight: int = metadata_of(field).get("weight", 1)
    return weight
