"""Orders to the telephony engine. They are idempotent: an order whose effect already holds counts as done."""

from dataclasses import dataclass
from enum import StrEnum

from app.domain.addresses import Address
from app.domain.calls import MuteDirection


class OrderKind(StrEnum):
    KEEP_ALIVE = "KEEP_ALIVE"
    """Keep the bridge, however few parties are left in it."""
    CLEAR_KEEP_ALIVE = "CLEAR_KEEP_ALIVE"
    """Apply the bridge's own rule again, at once: a bridge of type CONNECT with one party left ends."""
    RELEASE = "RELEASE"
    """Clear the keep-alive, and hang up a party that is alone in the bridge, whatever the bridge's own rule says."""
    DIAL = "DIAL"
    JOIN = "JOIN"
    HANG_UP = "HANG_UP"
    HOLD = "HOLD"
    """Play music on hold and mute the party: they hear nobody, and nobody hears them."""
    RINGBACK = "RINGBACK"
    """Play ringback: the party hears ringing, and no other party."""
    OPEN = "OPEN"
    """Let the party hear and be heard, even if they had set a hold or a mute themselves."""
    RESTORE = "RESTORE"
    """End our music, ringback, hold and mute. Set the hold and mute in the order: those that were the party's own."""


@dataclass(frozen=True, slots=True)
class Order:
    kind: OrderKind
    call_id: str | None = None
    confbridge_id: str | None = None
    groupcall_id: str | None = None
    source: Address | None = None
    destination: Address | None = None
    is_on_hold: bool = False
    mute_direction: MuteDirection = MuteDirection.NONE
