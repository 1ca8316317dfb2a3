"""Quotas: how many connections or operations each client address or customer may have at once."""

import ipaddress
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class QuotaExceeded(Exception):
    """All slots of the key are taken."""


class Quota:
    """Up to `limit` slots for each key, which is a client address or a customer id."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken: Counter[str] = Counter()

    def __len__(self) -> int:
        """The number of slots taken, of all keys together."""
        return self._taken.total()

    @contextmanager
    def slot(self, key: str) -> Iterator[None]:
        """Take a slot of this key for the duration of the block. Raises QuotaExceeded."""
        if self._taken[key] >= self._limit:
            raise QuotaExceeded
        self._taken[key] += 1
        try:
            yield
        finally:
            self._release(key)

    def _release(self, key: str) -> None:
        self._taken[key] -= 1
        if not self._taken[key]:
            del self._taken[key]


def address_key(client: tuple[str, int] | None) -> str:
    """Return the key of a client address: an IPv4 address, or the /64 network of an IPv6 address.

    One client usually has a whole /64 network. A client without an IP address, as on a Unix socket, is keyed by its
    name or by the empty string.
    """
    try:
        address = ipaddress.ip_address(client[0] if client else "")
    except ValueError:
        return client[0] if client else ""
    if address.version == 4:
        return str(address)
    mapped = address.ipv4_mapped
    return str(mapped or ipaddress.ip_network((int(address), 64), strict=False))
