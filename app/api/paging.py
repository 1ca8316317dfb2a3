"""Connections: pages of lists, and the opaque cursors that lead from one to the next."""

import base64
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

import orjson
import strawberry
from strawberry import UNSET

from app.api.errors import bad_input
from app.api.fields import resolved
from app.api.metering.price import MOST, PAGE
from app.api.scalars import read_time, write_time
from app.domain.text import is_id
from app.storage.pages import Key, Page, Window

VERSION = 1
LAST_SEQ = 2**53

First = Annotated[
    int | None,
    strawberry.argument(
        description="The number of members from the start of the list: 0 to 100. Without `first` and `last` it is 20."
        " Both together are refused with `BAD_USER_INPUT`."
    ),
]
After = Annotated[
    str | None,
    strawberry.argument(
        description="The cursor that the page begins after. An invalid one is refused with `BAD_USER_INPUT`."
    ),
]
Last = Annotated[
    int | None,
    strawberry.argument(
        description="The number of members from the end of the list: 0 to 100. It can't be combined with `first`."
    ),
]
Before = Annotated[
    str | None,
    strawberry.argument(
        description="The cursor that the page ends before. An invalid one is refused with `BAD_USER_INPUT`."
    ),
]

T = TypeVar("T")
V = TypeVar("V")


class BadCursor(Exception):
    """The cursor is malformed, or belongs to another list, order or customer."""


@dataclass(frozen=True, slots=True)
class Cursors:
    """The cursors of one list, order and customer. Cursors of any other are refused."""

    mark: str
    """A digest of the list, order and customer, which every cursor contains."""

    @classmethod
    def of(cls, *binding: str) -> "Cursors":
        return cls(hashlib.blake2b("|".join(binding).encode(), digest_size=6).hexdigest())

    def encode(self, *key: object) -> str:
        return base64.urlsafe_b64encode(orjson.dumps([VERSION, self.mark, *key])).decode().rstrip("=")

    def decode(self, cursor: str) -> list[Any]:
        """Return the key in a cursor. Raise BadCursor."""
        try:
            version, mark, *key = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
            is_ours = (version, mark) == (VERSION, self.mark) and self.encode(*key) == cursor
        except (ValueError, TypeError) as error:  # encode raises as well: orjson reads deeper nesting than it writes
            raise BadCursor from error
        if not is_ours:
            raise BadCursor
        return list(key)

    def of_member(self, member: Any) -> str:
        """Return the cursor of a member of a list that is ordered by creation time."""
        return self.encode(write_time(member.tm_create), member.id)

    def member_key(self, cursor: str) -> Key:
        match self.decode(cursor):
            case [str(tm_create), str(id_)] if is_id(id_):
                return read_time(tm_create), id_
        raise BadCursor

    def event_key(self, cursor: str) -> tuple[int]:
        match self.decode(cursor):
            case [int(seq)] if 0 <= seq <= LAST_SEQ:
                return (seq,)
        raise BadCursor


def event_cursors(customer_id: str) -> Cursors:
    """Return the cursors of the event log. The same cursor serves `Transfer.events` and `transferEvents`."""
    return Cursors.of("events", customer_id)


def window(
    key: Callable[[str], Key], first: int | None, after: str | None, last: int | None = None, before: str | None = None
) -> Window:
    """Return the window that the arguments of a connection select. Raise BAD_USER_INPUT."""
    first, last = first_given(first), first_given(last)
    if first is not None and last is not None:
        raise bad_input("Give `first` or `last`, not both.")
    size = first_given(first, last, PAGE)
    if size is None or not 0 <= size <= MOST:
        raise bad_input(f"`first` and `last` must be 0 to {MOST}.")
    return Window(size, _key(key, after), _key(key, before), is_backward=last is not None)


def first_given(*arguments: V | None) -> V | None:
    """Return the first argument that is neither null nor absent (UNSET)."""
    return next((it for it in arguments if it is not None and it is not UNSET), None)


def _key(key: Callable[[str], Key], cursor: str | None) -> Key | None:
    given = first_given(cursor)
    try:
        return None if given is None else key(given)
    except BadCursor as error:
        raise bad_input("This is not a cursor of this list.") from error


@strawberry.type(description="The position of a page in its list.")
class PageInfo:
    has_next_page: bool = strawberry.field(description="Whether there are members after this page.")
    has_previous_page: bool = strawberry.field(description="Whether there are members before this page.")
    start_cursor: str | None = strawberry.field(
        description="The cursor of the first member. Null if the page is empty."
    )
    end_cursor: str | None = strawberry.field(description="The cursor of the last member. Null if the page is empty.")


@strawberry.type(description="A member of a list, with its cursor.")
class Edge(Generic[T]):
    cursor: str = strawberry.field(description="The position of the member, for `after` or `before`.")
    node: T = strawberry.field(description="The member.")


@strawberry.type(description="A page of a list.")
class Connection(Generic[T]):
    nodes: list[T] = strawberry.field(description="The members of this page.")
    cursors: strawberry.Private[Callable[[], list[str]]]
    page: strawberry.Private[Page[Any]]
    count: strawberry.Private[Callable[[], Awaitable[int]]]

    @resolved("The members of this page, each with its cursor.")
    def edges(self) -> list[Edge[T]]:
        return [Edge(cursor=cursor, node=node) for cursor, node in zip(self.cursors(), self.nodes, strict=True)]

    @resolved("The position of this page in the list.")
    def page_info(self) -> PageInfo:
        cursors = self.cursors()
        return PageInfo(
            has_next_page=self.page.has_next,
            has_previous_page=self.page.has_previous,
            start_cursor=cursors[0] if cursors else None,
            end_cursor=cursors[-1] if cursors else None,
        )

    @resolved(
        "The number of members in the whole list. Counting a long list costs time and budget, so select "
        "it only if you show it."
    )
    async def total_count(self) -> int:
        return await self.count()
