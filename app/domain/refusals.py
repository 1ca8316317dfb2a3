"""Refusals: the answer to a request that can't be done, as a stable code with a message."""

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
    """A request that can't be done. The API returns it as a user error; it is not a fault of the server.

    `field` is the path to the wrong part of the input. `transfer_id` is the transfer that prevents the request.
    """

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
        """Further refusals of the same input."""


def refuse(found: Iterable[Refusal]) -> None:
    """Raise the first of these refusals, if there is one, with the rest as its `others`."""
    every = tuple(found)
    if every:
        every[0].others = every[1:]
        raise every[0]
