"""Large collections, split into lists of limited size."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def pieces(whole: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield the items in their order, in lists of `size`. The last list can be shorter."""
    rest = iter(whole)
    while piece := list(islice(rest, size)):
        yield piece
