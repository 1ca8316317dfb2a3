"""Many things, some at a time."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def pieces(whole: Iterable[T], size: int) -> Iterator[list[T]]:
    """In their order; the last piece may be smaller."""
    rest = iter(whole)
    while piece := list(islice(rest, size)):
        yield piece
