"""How many connections one holder may keep open."""

import ipaddress
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class Crowded(Exception):
    """The holder has as many as he may have."""


class Places:
    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken: Counter[str] = Counter()

    def __len__(self) -> int:
        return self._taken.total()

    @contextmanager
    def one(self, holder: str) -> Iterator[None]:
        """Raises Crowded."""
        if self._taken[holder] >= self._limit:
            raise Crowded
        self._taken[holder] += 1
        try:
            yield
        finally:
            self._leave(holder)

    def _leave(self, holder: str) -> None:
        self._taken[holder] -= 1
        if not self._taken[holder]:
            del self._taken[holder]


def line_of(client: tuple[str, int] | None) -> str:
    """Whose address it is: of IPv6 everybody has a network of 64 bits, at least."""
    try:
        address = ipaddress.ip_address(client[0] if client else "")
    except ValueError:
        return client[0] if client else ""
    if address.version == 4:
        return str(address)
    mapped = address.ipv4_mapped
    return str(mapped or ipaddress.ip_network((int(address), 64), strict=False))
