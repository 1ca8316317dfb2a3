"""What a transfer asks of the telephony engine. Every order is repeatable: what is already so is done."""

from dataclasses import dataclass
from enum import StrEnum

from app.domain.addresses import Address
from app.domain.calls import MuteDirection


class OrderKind(StrEnum):
    KEEP_ALIVE = "KEEP_ALIVE"
    """The bridge must not end by itself, however few parties are left."""
    CLEAR_KEEP_ALIVE = "CLEAR_KEEP_ALIVE"
    """The bridge's own rule applies again, at once."""
    RELEASE = "RELEASE"
    """Clear the keep-alive; hang up a party that is alone in the bridge now, whatever the bridge's own rule."""
    DIAL = "DIAL"
    JOIN = "JOIN"
    HANG_UP = "HANG_UP"
    HOLD = "HOLD"
    """Music on hold, and mute-in: the party hears nobody and nobody hears the party."""
    RINGBACK = "RINGBACK"
    """The party hears ringing, and nobody."""
    OPEN = "OPEN"
    """The party hears and is heard, even over its own hold and mute."""
    RESTORE = "RESTORE"
    """No music, ringback, hold or mute of ours: back to what the party's own are, as remembered in the order."""


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
