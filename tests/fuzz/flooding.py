"""Floods of inputs that must leave nothing in the server's memory."""

import time
from collections.abc import Callable

from tests.watching import Watched

EACH = 200
"""Bytes of memory that an input may leave behind. A leaked task or connection has thousands."""


def flood(server: Watched, inputs: int, send: Callable[[int], None]) -> None:
    """Send so many inputs with `send`. The first fifth fills caches. Memory that grows after it is a leak."""
    warm_up, began = inputs // 5, time.monotonic()
    send(warm_up)
    with server.kept(EACH * (inputs - warm_up)):
        send(inputs - warm_up)
    print(f"{inputs:,} inputs in {time.monotonic() - began:.0f} s")
