"""What one operation may ask for, and how it is refused."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from graphql.validation.validate import ValidationAbortedError

from app.domain.addresses import LONGEST
from app.domain.start import (
    MOST_KEY_CHARACTERS,
    MOST_METADATA_ENTRIES,
    MOST_NOTE_CHARACTERS,
    MOST_VALUE_CHARACTERS,
)


def _long_lists() -> Mapping[str, int]:
    """The lists without a page size that may be long."""
    return {"Conference.calls": 100, "Transfer.heldCalls": 100, "Transfer.metadata": MOST_METADATA_ENTRIES}


def _long_texts() -> Mapping[str, int]:
    """The fields whose texts are long, when they are as long as they may be."""
    address = dict.fromkeys(("Address.target", "Address.targetName", "Address.name", "Address.detail"), LONGEST)
    metadata = {"MetadataEntry.key": MOST_KEY_CHARACTERS, "MetadataEntry.value": MOST_VALUE_CHARACTERS}
    return {"Transfer.note": MOST_NOTE_CHARACTERS, **metadata, **address}


@dataclass(frozen=True, slots=True)
class Limits:
    """Such that a page of 100 transfers with all their links passes, and a second level of such pages does not."""

    max_cost: int = 100_000
    max_depth: int = 20  # nested selection sets, fragments counted; introspection has its own
    max_aliases: int = 100  # in the text; what they multiply is the cost
    max_directives: int = 100
    max_repeats: int = 100  # of a field in a selection
    max_spreads: int = 30  # of fragments in a selection
    max_tokens: int = 1_500  # introspection has 330, a transfer with all its links and fields 550
    max_length: int = 32_768  # characters of the document
    capacity: int = 250_000  # points that a principal may save up
    restore_rate: float = 25_000  # points a second: 1,000 reads of a transfer with its links
    reading: float = 0.25  # points for a character of an unknown document: to check it takes longer than to run it
    list_size: int = 10  # what a list without a page size is taken for
    list_sizes: Mapping[str, int] = field(default_factory=_long_lists)  # by "Type.field", where that is too few
    long_texts: Mapping[str, int] = field(default_factory=_long_texts)  # characters, by "Type.field"
    report_cost: bool = True  # as `extensions.cost`

    def __post_init__(self) -> None:
        if self.capacity < self.max_cost:
            raise ValueError(f"An operation of max_cost {self.max_cost} never fits the capacity of {self.capacity}.")
        if self.restore_rate <= 0:
            raise ValueError("A budget that is not restored ends in refusals for ever.")


class LimitExceeded(ValidationAbortedError):
    """Somebody asks for too much. Raised while validating it ends the work at once, and is the only error."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message, extensions={"code": code})


def too_deep(depth: int, limit: int) -> LimitExceeded:
    return LimitExceeded("QUERY_TOO_DEEP", f"{depth} or more selections are nested; at most {limit} may be.")


def too_complex(cost: int, limit: int) -> LimitExceeded:
    # A fan-out multiplies to hundreds of digits, which nobody reads, and Python refuses to print thousands.
    points = f"{cost}" if cost < 10**12 else "more than 10^12"
    return LimitExceeded("QUERY_TOO_COMPLEX", f"The operation may cost {points} points; at most {limit} are allowed.")


def too_long(length: int, limit: int) -> LimitExceeded:
    return LimitExceeded("QUERY_TOO_LONG", f"The document has {length} characters; at most {limit} are allowed.")


def too_many(what: str, count: int, limit: int) -> LimitExceeded:
    code = f"TOO_MANY_{what.upper()}"
    return LimitExceeded(code, f"The document has {count} {what}; at most {limit} are allowed.")
