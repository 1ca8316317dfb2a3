"""The limits of one operation, and the errors of an operation that exceeds them."""

from dataclasses import dataclass

from graphql.validation.validate import ValidationAbortedError


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits that let a page of 100 transfers with all links pass, but no second level of such pages."""

    max_cost: int = 100_000
    max_depth: int = 20  # nested selection sets, those of fragments included; introspection has its own limit
    max_aliases: int = 100  # in the text; the cost accounts for what they multiply
    max_directives: int = 100
    max_repeats: int = 100  # of a field in a selection
    max_spreads: int = 30  # of fragments in a selection
    max_tokens: int = 1_500  # introspection has 330, a transfer with all its links and fields 550
    max_length: int = 32_768  # characters of the document
    budget: int = 250_000  # points that a principal can save up
    budget_rate: float = 25_000  # points that a principal gets back a second: 1,000 reads of a transfer with its links
    reading: float = 0.25  # points for each character of a new document: checking takes longer than running it
    report_cost: bool = True  # as `extensions.cost`

    def __post_init__(self) -> None:
        if self.budget < self.max_cost:
            raise ValueError(f"An operation of max_cost {self.max_cost} never fits the budget of {self.budget}.")
        if self.budget_rate <= 0:
            raise ValueError("A budget that does not come back would refuse everything once it is spent.")


class LimitExceeded(ValidationAbortedError):
    """An operation exceeds a limit. Raised during validation, it ends the validation and is its only error."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message, extensions={"code": code})


def too_deep(depth: int, limit: int) -> LimitExceeded:
    return LimitExceeded("QUERY_TOO_DEEP", f"{depth} or more selections are nested; at most {limit} may be.")


def too_complex(cost: int, limit: int) -> LimitExceeded:
    # Fragments can multiply to a cost of thousands of digits, which Python refuses to print.
    points = f"{cost}" if cost < 10**12 else "more than 10^12"
    return LimitExceeded("QUERY_TOO_COMPLEX", f"The operation may cost {points} points; at most {limit} are allowed.")


def too_long(length: int, limit: int) -> LimitExceeded:
    return LimitExceeded("QUERY_TOO_LONG", f"The document has {length} characters; at most {limit} are allowed.")


def too_many(what: str, count: int, limit: int) -> LimitExceeded:
    code = f"TOO_MANY_{what.upper()}"
    return LimitExceeded(code, f"The document has {count} {what}; at most {limit} are allowed.")
