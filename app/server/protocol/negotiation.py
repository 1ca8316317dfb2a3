"""Content negotiation: which response the Accept header allows."""

from dataclasses import dataclass
from functools import lru_cache

JSON = "application/json"
RESPONSE = "application/graphql-response+json"
EVENT_STREAM = "text/event-stream"
MOST_CHARACTERS = 1_000  # the header of a browser has about a hundred


@dataclass(frozen=True, slots=True)
class Accepted:
    media: str | None  # of a single response: JSON or RESPONSE; None if the client accepts neither
    stream: bool  # whether the client accepts an event stream


NOTHING = Accepted(None, stream=False)


def accepted(accept: str) -> Accepted:
    """Parse an Accept header. JSON is the default; a stream is accepted only if the header names its media type."""
    return _accepted(accept) if len(accept) <= MOST_CHARACTERS else NOTHING


@lru_cache(maxsize=256)
def _accepted(accept: str) -> Accepted:
    ranges = _ranges(accept or "*/*")
    # max() returns the first of equal offers. So named types keep the order of the header, and "*" prefers JSON.
    offers = [name for name in ranges if name in (JSON, RESPONSE)] + [JSON, RESPONSE]
    best = max(offers, key=lambda offer: _quality(offer, ranges))
    return Accepted(best if _quality(best, ranges) > 0 else None, ranges.get(EVENT_STREAM, 0) > 0)


def _ranges(accept: str) -> dict[str, float]:
    ranges = {}
    for part in accept.lower().split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        weights = [parameter[2:] for parameter in parameters if parameter.startswith("q=")]
        ranges[name] = _weight(weights[0]) if weights else 1.0
    return ranges


def _weight(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _quality(offer: str, ranges: dict[str, float]) -> float:
    """Return the weight of the most specific range that covers the offer, or 0."""
    return next((ranges[name] for name in (offer, "application/*", "*/*") if name in ranges), 0.0)
