"""Authentication: reading viewers from signed tokens (JWT), and issuing such tokens."""

import asyncio
import base64
import json
import logging
import ssl
import uuid
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import lru_cache
from time import monotonic
from typing import Any, Protocol

import httpx
import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from app.domain.text import is_storable
from app.domain.viewer import Permission, Viewer
from app.ports import utc_now
from app.server.errors import Unauthenticated, Unavailable

logger = logging.getLogger(__name__)

MOST_CHARACTERS = 8_192
"""Most characters of an Authorization header."""
MOST_BYTES = 1_000_000
"""Most bytes of a key set."""
FETCH_ERRORS = (jwt.PyJWTError, httpx.HTTPError, httpx.InvalidURL, ValueError, TypeError, OSError, RecursionError)
"""Errors of fetching a key set, whatever the URL returns."""
INVALID = "The token is not valid"
UNVERIFIABLE = "Tokens can't be verified at the moment: try again"
SUBJECT_CHARACTERS = 255
RSA_BITS = 2048
BAD_KEY = f"A public key must be PEM: an RSA key of at least {RSA_BITS} bits, or a key on the curve P-256"


class Keys(Protocol):
    """The source of the keys that verify tokens."""

    algorithms: tuple[str, ...]

    async def key(self, token: str) -> jwt.PyJWK:
        """Return the key that verifies this token.

        While the key is valid, return the same object: verified tokens are cached by token and key.
        """


class Secret:
    """A secret of at least 32 bytes, shared with the issuer of the tokens (HS256)."""

    algorithms: tuple[str, ...] = ("HS256",)

    def __init__(self, secret: str) -> None:
        octets = secret.encode()
        if len(octets) < 32:
            raise ValueError("A shared secret must have at least 32 bytes")
        encoded = base64.urlsafe_b64encode(octets).decode().rstrip("=")
        self._key = jwt.PyJWK({"kty": "oct", "k": encoded}, algorithm="HS256")

    async def key(self, token: str) -> jwt.PyJWK:
        return self._key

    def sign(self, claims: dict[str, Any]) -> str:
        return jwt.encode(claims, self._key, algorithm="HS256")


class PublicKey:
    """A public key in PEM: RSA for RS256, or P-256 for ES256."""

    algorithms: tuple[str, ...]

    def __init__(self, pem: str) -> None:
        key = _loaded(pem)
        if isinstance(key, RSAPublicKey) and key.key_size >= RSA_BITS:
            self._key = jwt.PyJWK(RSAAlgorithm.to_jwk(key, as_dict=True), algorithm="RS256")
        elif isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
            self._key = jwt.PyJWK(ECAlgorithm.to_jwk(key, as_dict=True), algorithm="ES256")
        else:
            raise ValueError(BAD_KEY)
        self.algorithms = (self._key.algorithm_name,)

    async def key(self, token: str) -> jwt.PyJWK:
        return self._key


def _loaded(pem: str) -> PublicKeyTypes:
    try:
        return load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError(BAD_KEY) from error


class KeySet:
    """The keys published at a URL (JWKS), fetched when they are old and when a token names an unknown key.

    `lifespan`: seconds until the keys are fetched again. `cooldown`: seconds between two fetches for unknown keys;
    without it, anybody could make the server fetch without end. `timeout`: seconds that a whole fetch may take.
    """

    algorithms: tuple[str, ...] = ("RS256", "ES256")

    def __init__(self, url: str, lifespan: float = 300, cooldown: float = 30, timeout: float = 5) -> None:
        self._url = url
        self._lifespan = lifespan
        self._cooldown = cooldown
        self._timeout = timeout
        self._tls = ssl.create_default_context()  # the certificates of the system; httpx would use its own
        self._fetching: asyncio.Task[None] | None = None
        self._not_before = self._old_at = 0.0
        self._last: jwt.PyJWKSet | None = None
        """The keys fetched last. They are used until newer ones arrive, so that no known key waits for a fetch."""
        self._fetch_failed = False

    async def key(self, token: str) -> jwt.PyJWK:
        key_id = jwt.get_unverified_header(token).get("kid", "")
        if not self._known(key_id):
            await self._refreshed()
        elif monotonic() >= self._old_at:
            self._refresh()
        if key := self._known(key_id):
            return key
        if self._fetch_failed or self._last is None:
            raise Unavailable(UNVERIFIABLE)
        raise jwt.InvalidKeyError("No such key")

    def _known(self, key_id: str) -> jwt.PyJWK | None:
        return next((key for key in self._last or () if key.key_id == key_id), None)

    async def _refreshed(self) -> None:
        if fetching := self._refresh():
            await asyncio.shield(fetching)  # otherwise one client that leaves would cancel the fetch for all

    def _refresh(self) -> asyncio.Task[None] | None:
        """Return the running fetch, or start one if the cooldown is over. Concurrent callers share one fetch."""
        if (self._fetching is None or self._fetching.done()) and monotonic() >= self._not_before:
            self._fetching = asyncio.create_task(self._fetch())
        return self._fetching

    async def _fetch(self) -> None:
        pause = min(self._cooldown, 1)
        try:
            async with asyncio.timeout(self._timeout):
                self._last = await self._published()
            self._fetch_failed = False
            self._old_at, pause = monotonic() + self._lifespan, self._cooldown
        except FETCH_ERRORS as error:
            self._fetch_failed = True
            logger.warning("The key set can't be fetched: %s", str(error) or type(error).__name__)
        finally:
            self._not_before = monotonic() + pause

    async def _published(self) -> jwt.PyJWKSet:
        async with (
            httpx.AsyncClient(verify=self._tls, timeout=None) as client,
            client.stream("GET", self._url) as answer,
        ):
            if not answer.is_success:
                raise ValueError(f"HTTP {answer.status_code}")
            published = json.loads(await _at_most(MOST_BYTES, answer))
        if not isinstance(published, dict):
            raise ValueError("it is not a JSON object")
        return jwt.PyJWKSet.from_dict(published)


async def _at_most(limit: int, answer: httpx.Response) -> bytes:
    body = bytearray()
    async for piece in answer.aiter_bytes():
        body += piece
        if len(body) > limit:
            raise ValueError(f"it has more than {limit} bytes")
    return bytes(body)


class Tokens:
    """Verifies tokens. Their claims: `customer_id`, `sub`, `permissions`, `exp`, and `iss` and `aud` if configured."""

    def __init__(
        self,
        keys: Keys,
        issuer: str | None = None,
        audience: str | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._clock = clock
        self._verified = lru_cache(maxsize=4096)(self._verify)

    async def viewer(self, token: str) -> Viewer:
        """Return the viewer of a token. Raises Unauthenticated, or Unavailable if the keys can't be fetched."""
        try:
            viewer = self._verified(token, await self._keys.key(token))
        except (jwt.PyJWTError, TypeError, ValueError, OverflowError, OSError) as error:
            raise Unauthenticated(INVALID) from error
        if viewer.expires_at <= self._clock():
            raise Unauthenticated("The token has expired")
        return viewer

    def issue(self, customer_id: str, subject: str, permissions: Iterable[Permission], ttl: float) -> str:
        """Issue a token that is valid for `ttl` seconds. Raises TypeError without a shared secret."""
        if not isinstance(self._keys, Secret):
            raise TypeError("Tokens can be issued only with a shared secret")
        now = self._clock().timestamp()
        claims: dict[str, Any] = {"customer_id": customer_id, "sub": subject, "permissions": sorted(permissions)}
        claims |= {"iat": int(now), "exp": int(now + ttl), "iss": self._issuer, "aud": self._audience}
        return self._keys.sign({name: value for name, value in claims.items() if value is not None})

    def _verify(self, token: str, key: jwt.PyJWK) -> Viewer:
        claims = jwt.decode(
            token,
            key,
            algorithms=self._keys.algorithms,
            issuer=self._issuer,
            audience=self._audience,
            # `viewer` checks `exp` itself: the result is cached, and a cached token must expire too.
            options={
                "require": ["exp", "sub", "customer_id"],
                "verify_exp": False,
                "verify_iat": False,
                "verify_aud": self._audience is not None,
                "enforce_minimum_key_length": True,
            },
        )
        return Viewer(
            customer_id=_customer_id(claims),
            subject=_subject(claims),
            permissions=_permissions(claims),
            expires_at=datetime.fromtimestamp(int(claims["exp"]), UTC),
        )


def bearer(authorization: str | None) -> str:
    """Return the token of an Authorization header. Raises Unauthenticated."""
    if authorization and len(authorization) > MOST_CHARACTERS:  # verified tokens are kept in a cache
        raise Unauthenticated("The token is too long")
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("A bearer token is missing")
    return token.strip()


def _customer_id(claims: dict[str, Any]) -> str:
    if not isinstance(claims["customer_id"], str):
        raise jwt.InvalidTokenError("customer_id must be a UUID")
    return str(uuid.UUID(claims["customer_id"]))


def _subject(claims: dict[str, Any]) -> str:
    """Return the subject. It is stored with events, so it must not contain a lone surrogate or U+0000."""
    subject = str(claims["sub"])
    subject.encode()
    if not is_storable(subject):
        raise jwt.InvalidTokenError("sub must not contain U+0000")
    if len(subject) > SUBJECT_CHARACTERS:
        raise Unauthenticated(f"The sub of the token has more than {SUBJECT_CHARACTERS} characters")
    return subject


def _permissions(claims: dict[str, Any]) -> frozenset[Permission]:
    names = claims.get("permissions", [])
    if not isinstance(names, list):
        raise jwt.InvalidTokenError("permissions must be a list")
    return frozenset(permission for permission in Permission if permission in names)
