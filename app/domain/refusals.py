"""What a caller asked that can't be: a stable code, a message, where in the input, and the transfer in the way."""

from collections.abc import Iterable
from enum import StrEnum


class RefusalCode(StrEnum):
    NOT_FOUND = "NOT_FOUND"
    INVALID_ADDRESS = "INVALID_ADDRESS"
    NOT_DIALABLE = "NOT_DIALABLE"
    NO_ADDRESS = "NO_ADDRESS"
    TOO_MANY_ADDRESSES = "TOO_MANY_ADDRESSES"
    OUT_OF_RANGE = "OUT_OF_RANGE"
    CALL_NOT_PROGRESSING = "CALL_NOT_PROGRESSING"
    NO_BRIDGE = "NO_BRIDGE"
    NO_OTHER_PARTY = "NO_OTHER_PARTY"
    ALREADY_TRANSFERRING = "ALREADY_TRANSFERRING"
    SAME_PARTY = "SAME_PARTY"
    IDEMPOTENCY_CONFLICT = "IDEMPOTENCY_CONFLICT"
    ILLEGAL_TRANSITION = "ILLEGAL_TRANSITION"
    ENGINE_UNAVAILABLE = "ENGINE_UNAVAILABLE"
    NOT_SIMULATED = "NOT_SIMULATED"
    INVALID_INPUT = "INVALID_INPUT"


class Refusal(Exception):
    """Data for the caller, never a fault: the API turns it into a user error."""

    def __init__(
        self, code: RefusalCode, message: str, *field: str, transfer_id: str | None = None, retryable: bool = False
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field
        self.transfer_id = transfer_id
        self.retryable = retryable
        self.others: tuple[Refusal, ...] = ()
        """What else is wrong with the form of the same input."""


def refuse(found: Iterable[Refusal]) -> None:
    """Raise the first of these refusals, with the others. Nothing happens when there are none."""
    every = tuple(found)
    if every:
        every[0].others = every[1:]
        raise every[0]
