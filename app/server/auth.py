"""Who asks: viewers read from signed tokens (JWT), and tokens minted for them."""

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
MOST_BYTES = 1_000_000
"""Of a key set."""
NO_KEYS = (jwt.PyJWTError, httpx.HTTPError, httpx.InvalidURL, ValueError, TypeError, OSError, RecursionError)
"""What comes of asking for them, whatever stands at that address."""
INVALID = "The token is not valid"
UNVERIFIABLE = "Tokens can't be verified at the moment"
SUBJECT_CHARACTERS = 255
RSA_BITS = 2048
NO_KEY = f"A public key is in PEM, and an RSA key of at least {RSA_BITS} bits or one on the curve P-256"


class Keys(Protocol):
    """Where the key that verifies a token comes from."""

    algorithms: tuple[str, ...]

    async def key(self, token: str) -> jwt.PyJWK:
        """The same object as long as the key stands: what was verified with it is remembered."""


class Secret:
    """One secret shared with whoever issues the tokens, at least 32 bytes long."""

    algorithms: tuple[str, ...] = ("HS256",)

    def __init__(self, secret: str) -> None:
        octets = secret.encode()
        if len(octets) < 32:
            raise ValueError("A shared secret has at least 32 bytes")
        encoded = base64.urlsafe_b64encode(octets).decode().rstrip("=")
        self._key = jwt.PyJWK({"kty": "oct", "k": encoded}, algorithm="HS256")

    async def key(self, token: str) -> jwt.PyJWK:
        return self._key

    def sign(self, claims: dict[str, Any]) -> str:
        return jwt.encode(claims, self._key, algorithm="HS256")


class PublicKey:
    """One public key in PEM: RSA for RS256, or P-256 for ES256."""

    algorithms: tuple[str, ...]

    def __init__(self, pem: str) -> None:
        key = _loaded(pem)
        if isinstance(key, RSAPublicKey) and key.key_size >= RSA_BITS:
            self._key = jwt.PyJWK(RSAAlgorithm.to_jwk(key, as_dict=True), algorithm="RS256")
        elif isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
            self._key = jwt.PyJWK(ECAlgorithm.to_jwk(key, as_dict=True), algorithm="ES256")
        else:
            raise ValueError(NO_KEY)
        self.algorithms = (self._key.algorithm_name,)

    async def key(self, token: str) -> jwt.PyJWK:
        return self._key


def _loaded(pem: str) -> PublicKeyTypes:
    try:
        return load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError(NO_KEY) from error


class KeySet:
    """The keys published at a URL (JWKS). Fetched when they are old, and when a token names a key not seen yet.

    lifespan: seconds until the keys are fetched anew. cooldown: seconds between two fetches for the sake of unknown
    keys, or strangers could make us fetch without end. timeout: seconds that a fetch may take as a whole.
    """

    algorithms: tuple[str, ...] = ("RS256", "ES256")

    def __init__(self, url: str, lifespan: float = 300, cooldown: float = 30, timeout: float = 5) -> None:
        self._url = url
        self._lifespan = lifespan
        self._cooldown = cooldown
        self._timeout = timeout
        self._tls = ssl.create_default_context()  # of the system, as an operator expects; httpx brings one of its own
        self._fetching: asyncio.Task[None] | None = None
        self._not_before = self._old_at = 0.0
        self._last: jwt.PyJWKSet | None = None
        """What was fetched last: good enough for as long as nothing newer can be had, and nobody waits for that."""
        self._is_away = False

    async def key(self, token: str) -> jwt.PyJWK:
        key_id = jwt.get_unverified_header(token).get("kid", "")
        if not self._known(key_id):
            await self._refreshed()
        elif monotonic() >= self._old_at:
            self._refresh()
        if key := self._known(key_id):
            return key
        if self._is_away or self._last is None:
            raise Unavailable(UNVERIFIABLE)
        raise jwt.InvalidKeyError("No such key")

    def _known(self, key_id: str) -> jwt.PyJWK | None:
        return next((key for key in self._last or () if key.key_id == key_id), None)

    async def _refreshed(self) -> None:
        if fetching := self._refresh():
            await asyncio.shield(fetching)  # whoever waits and leaves does not end it for the others

    def _refresh(self) -> asyncio.Task[None] | None:
        """The fetch that is under way, or that is due now; of several who ask all get the same one."""
        if (self._fetching is None or self._fetching.done()) and monotonic() >= self._not_before:
            self._fetching = asyncio.create_task(self._fetch())
        return self._fetching

    async def _fetch(self) -> None:
        pause = min(self._cooldown, 1)
        try:
            async with asyncio.timeout(self._timeout):
                self._last = await self._published()
            self._is_away = False
            self._old_at, pause = monotonic() + self._lifespan, self._cooldown
        except NO_KEYS as error:
            self._is_away = True
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
            raise ValueError("it is no JSON object")
        return jwt.PyJWKSet.from_dict(published)


async def _at_most(limit: int, answer: httpx.Response) -> bytes:
    body = bytearray()
    async for piece in answer.aiter_bytes():
        body += piece
        if len(body) > limit:
            raise ValueError(f"it has more than {limit} bytes")
    return bytes(body)


class Tokens:
    """Reads viewers from tokens. Claims: `customer_id`, `sub`, `permissions`, `exp`, and `iss`, `aud` if configured."""

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
        """Raises Unauthenticated, or Unavailable when the keys can't be had."""
        try:
            viewer = self._verified(token, await self._keys.key(token))
        except (jwt.PyJWTError, TypeError, ValueError, OverflowError, OSError) as error:
            raise Unauthenticated(INVALID) from error
        if viewer.expires_at <= self._clock():
            raise Unauthenticated("The token has expired")
        return viewer

    def issue(self, customer_id: str, subject: str, permissions: Iterable[Permission], ttl: float) -> str:
        """Mint a token that lives for `ttl` seconds. Only for a shared secret."""
        if not isinstance(self._keys, Secret):
            raise TypeError("Tokens are issued with a shared secret only")
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
            # `viewer` looks at the expiry: what was verified once is remembered, and must expire all the same.
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
    """The token in the value of an Authorization header."""
    if authorization and len(authorization) > MOST_CHARACTERS:  # they are remembered when they have been verified
        raise Unauthenticated("The token is too long")
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("A bearer token is missing")
    return token.strip()


def _customer_id(claims: dict[str, Any]) -> str:
    if not isinstance(claims["customer_id"], str):
        raise jwt.InvalidTokenError("customer_id is a UUID")
    return str(uuid.UUID(claims["customer_id"]))


def _subject(claims: dict[str, Any]) -> str:
    """Return the subject, which is recorded with its events. No database can keep a lone surrogate or U+0000."""
    subject = str(claims["sub"])
    subject.encode()
    if not is_storable(subject):
        raise jwt.InvalidTokenError("sub has no U+0000")
    if len(subject) > SUBJECT_CHARACTERS:
        raise Unauthenticated(f"The sub of the token has more than {SUBJECT_CHARACTERS} characters")
    return subject


def _permissions(claims: dict[str, Any]) -> frozenset[Permission]:
    names = claims.get("permissions", [])
    if not isinstance(names, list):
        raise jwt.InvalidTokenError("permissions is a list")
    return frozenset(permission for permission in Permission if permission in names)
