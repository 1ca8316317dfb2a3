"""What one operation and one principal may ask for: the limits, the refusal, the budget."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from graphql.validation.validate import ValidationAbortedError

from app.domain.addresses import LONGEST
from app.domain.start import (
    MOST_KEY_CHARACTERS,
    MOST_METADATA_ENTRIES,
    MOST_NOTE_CHARACTERS,
    MOST_VALUE_CHARACTERS,
)

# The customer and the subject of a token. Those without a token share one.
Principal = tuple[str, str]
Sleep = Callable[[float], Awaitable[None]]


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


@dataclass(slots=True)
class _Bucket:
    level: float
    at: float


class Budget:
    """Points that flow back at a steady rate, one bucket a principal. N processes grant N times as many."""

    def __init__(self, capacity: int, restore_rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.capacity = capacity
        self._rate = restore_rate
        self._clock = clock
        self._buckets: dict[Principal, _Bucket] = {}
        self._payers: WeakValueDictionary[Principal, asyncio.Lock] = WeakValueDictionary()  # while somebody pays
        self._prune_at = 1_000

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, principal: Principal, points: int) -> float:
        """Seconds to wait before asking again; 0 when the points were granted."""
        bucket = self._bucket(principal)
        if bucket.level < points:
            return (points - bucket.level) / self._rate
        bucket.level -= points
        return 0.0

    async def pay(self, principal: Principal, points: int, sleep: Sleep) -> None:
        """All of them, as they flow back: in pieces, since what is dear might never be there at once.

        Those who wait to pay do so one after the other, or all would wake for points that are there for one.
        """
        async with self.turn(principal):
            await self.pay_in_turn(principal, points, sleep)

    def turn(self, principal: Principal) -> asyncio.Lock:
        """Held by one payer of the principal at a time."""
        return self._payers.setdefault(principal, asyncio.Lock())

    async def pay_in_turn(self, principal: Principal, points: int, sleep: Sleep) -> None:
        """Pay as `pay` does. The caller holds the turn of the principal."""
        while points := points - self._draw(principal, points):
            debt = max(0.0, -self._bucket(principal).level)
            await sleep((points + debt) / self._rate)

    def _draw(self, principal: Principal, points: int) -> int:
        """As many as are there."""
        drawn = max(0, min(points, math.floor(self._bucket(principal).level)))
        self._bucket(principal).level -= drawn
        return drawn

    def settle(self, principal: Principal, points: int) -> None:
        """Give back what was not used, or take (negative) what was used beyond. A debt is paid off by waiting."""
        bucket = self._bucket(principal)
        bucket.level = min(self.capacity, bucket.level + points)

    def remaining(self, principal: Principal) -> int:
        return max(0, math.floor(self._bucket(principal).level))

    def full_in(self, principal: Principal) -> float:
        """Seconds until the bucket is full again."""
        return (self.capacity - self._bucket(principal).level) / self._rate

    def _bucket(self, principal: Principal) -> _Bucket:
        now = self._clock()
        bucket = self._buckets.get(principal)
        if bucket is None:
            self._make_room(now)
            bucket = self._buckets[principal] = _Bucket(self.capacity, now)
        bucket.level, bucket.at = self._level(bucket, now), now
        return bucket

    def _level(self, bucket: _Bucket, now: float) -> float:
        return min(self.capacity, bucket.level + (now - bucket.at) * self._rate)

    def _make_room(self, now: float) -> None:
        """Forget full buckets: a new one is the same. Only when their number has doubled, so that it stays cheap."""
        if len(self._buckets) < self._prune_at:
            return
        self._buckets = {who: it for who, it in self._buckets.items() if self._level(it, now) < self.capacity}
        self._prune_at = max(1_000, 2 * len(self._buckets))
