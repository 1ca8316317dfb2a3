"""Malformed octets, made from good ones."""

from collections.abc import Sequence
from random import Random

ODD = (
    *(b"{", b"}", b"[", b"]", b'"', b"\\", b",", b":", b"\\u0000", b"\\ud800", b"\\udc00", b"\xff\xfe", b"\xc0\x80"),
    *(b"\0", b"\r\n", b"null", b"true", b"NaN", b"-0", b"1e999", b"9" * 400, b"[" * 2_000, b'{"a":' * 2_000, b"#"),
    *(b"...", b"@", b"$", b"!", b"query", b"mutation", b"subscription", b"fragment f on Query", b"__schema", b'"""'),
)


class Spoiler:
    """A source of malformed octets, made from `good`. The same seed gives the same octets."""

    def __init__(self, seed: int, good: Sequence[bytes]) -> None:
        self.dice = Random(seed)
        self._good = good

    def good(self) -> bytes:
        return self.dice.choice(self._good)

    def spoiled(self) -> bytes:
        octets = self.good()
        for _ in range(self.dice.choice((1, 1, 1, 2, 3, 6))):
            start = self.dice.randrange(len(octets) + 1)
            end = start + self.dice.choice((1, 3, 20, 1_000))
            octets = octets[:start] + self._instead(octets[start:end]) + octets[end:]
        return octets[: self.dice.randrange(len(octets) + 1)] if self.dice.random() < 0.1 else octets

    def _instead(self, octets: bytes) -> bytes:
        noise = self.dice.randbytes(self.dice.randrange(30))
        others = self.good()[: len(octets)]
        return self.dice.choice((b"", octets * 2, noise, others, self.dice.choice(ODD) + octets, self._flipped(octets)))

    def _flipped(self, octets: bytes) -> bytes:
        """Flip one bit of the first octet."""
        return bytes([octets[0] ^ 1 << self.dice.randrange(8)]) + octets[1:] if octets else b""
