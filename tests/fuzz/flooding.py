"""Many inputs, and nothing left of them."""

import time
from collections.abc import Callable

from tests.watching import Watched

EACH = 200
"""Bytes of memory that an input may leave behind: a task or a connection takes thousands."""


def flood(server: Watched, inputs: int, send: Callable[[int], None]) -> None:
    """`send` sends so many. Caches fill during the first fifth; what grows during the rest grows without end."""
    warm_up, began = inputs // 5, time.monotonic()
    send(warm_up)
    with server.kept(EACH * (inputs - warm_up)):
        send(inputs - warm_up)
    print(f"{inputs:,} inputs in {time.monotonic() - began:.0f} s")
