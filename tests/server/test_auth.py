"""Authentication: which tokens are valid, and the viewer that they name."""

import asyncio
import base64
import hmac
import json
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from app.domain.viewer import Permission, Viewer
from app.limits import TransportLimits
from app.server.auth import KeySet, PublicKey, Secret, Tokens, bearer
from app.server.errors import Unauthenticated, Unavailable
from app.server.wire.serve import DrainingServer, configure, listen

SECRET = "a secret that is only good for tests"
CUSTOMER = "5e4a0680-804e-11ec-8477-2fea5968d85b"
NOW = datetime.now(UTC).replace(microsecond=0)
CLAIMS: dict[str, Any] = {"customer_id": CUSTOMER, "sub": "alice", "exp": int(time.time()) + 600}

RSA_KEY = rsa.generate_private_key(65537, 2048)
OTHER_RSA_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def pem(key: PrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def shared(**options: Any) -> Tokens:
    return Tokens(Secret(SECRET), **options)


def signed(claims: dict[str, Any], key: Any = SECRET, algorithm: str = "HS256", kid: str | None = None) -> str:
    return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": kid} if kid else None)


async def test_an_issued_token_verifies() -> None:
    tokens = shared(clock=lambda: NOW)
    token = tokens.issue(CUSTOMER, "alice", [Permission.SIMULATE, Permission.CALLS_READ], 60)
    assert await tokens.viewer(token) == Viewer(
        customer_id=CUSTOMER,
        subject="alice",
        permissions=frozenset({Permission.SIMULATE, Permission.CALLS_READ}),
        expires_at=NOW + timedelta(seconds=60),
    )


async def test_a_cached_token_expires_on_time() -> None:
    now = NOW
    tokens = shared(clock=lambda: now)
    token = tokens.issue(CUSTOMER, "alice", [], 60)
    now = NOW + timedelta(seconds=59, milliseconds=999)
    await tokens.viewer(token)
    now = NOW + timedelta(seconds=60)
    with pytest.raises(Unauthenticated, match="expired"):
        await tokens.viewer(token)


async def test_every_spelling_of_a_customer_id_is_normalized() -> None:
    for spelling in (CUSTOMER.upper(), CUSTOMER.replace("-", ""), f"{{{CUSTOMER}}}"):
        viewer = await shared().viewer(signed(CLAIMS | {"customer_id": spelling}))
        assert viewer.customer_id == CUSTOMER


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, set()),
        ({"permissions": []}, set()),
        ({"permissions": ["FLY", "CALLS_READ", 5, None, {}]}, {Permission.CALLS_READ}),
        ({"permissions": ["calls_read"]}, set()),
    ],
)
async def test_unknown_permissions_are_ignored(given: dict[str, Any], expected: set[Permission]) -> None:
    assert (await shared().viewer(signed(CLAIMS | given))).permissions == expected


def without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in CLAIMS.items() if name not in names}


@pytest.mark.parametrize(
    "claims",
    [
        without("exp"),
        without("sub"),
        without("customer_id"),
        CLAIMS | {"exp": int(time.time()) - 1},
        CLAIMS | {"exp": None},
        CLAIMS | {"exp": "soon"},
        CLAIMS | {"exp": float("inf")},
        CLAIMS | {"exp": 10**30},
        CLAIMS | {"exp": []},
        CLAIMS | {"exp": {}},
        CLAIMS | {"exp": [int(time.time()) + 600]},
        CLAIMS | {"nbf": [0]},
        CLAIMS | {"nbf": int(time.time()) + 3600},
        CLAIMS | {"sub": 5},
        CLAIMS | {"sub": "\ud800"},
        CLAIMS | {"customer_id": "acme"},
        CLAIMS | {"customer_id": 5},
        CLAIMS | {"permissions": "CALLS_READ"},
        CLAIMS | {"permissions": {"CALLS_READ": True}},
    ],
)
async def test_claims_must_make_sense(claims: dict[str, Any]) -> None:
    token = jwt.PyJWS().encode(json.dumps(claims).encode(), SECRET, algorithm="HS256")
    with pytest.raises(Unauthenticated):
        await shared().viewer(token)


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "é.é.é", signed(CLAIMS)[:-2], signed(CLAIMS) + "x", "." * 50_000])
async def test_a_malformed_token_is_refused(token: str) -> None:
    with pytest.raises(Unauthenticated):
        await shared().viewer(token)


async def test_a_subject_has_room_for_255_characters() -> None:
    assert (await shared().viewer(signed(CLAIMS | {"sub": "é" * 255}))).subject == "é" * 255
    with pytest.raises(Unauthenticated, match="The sub of the token has more than 255 characters"):
        await shared().viewer(signed(CLAIMS | {"sub": "é" * 256}))


def encoded(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


def unsigned(claims: dict[str, Any], algorithm: str) -> str:
    return ".".join([encoded(json.dumps({"alg": algorithm}).encode()), encoded(json.dumps(claims).encode()), ""])


@pytest.mark.parametrize(
    "token",
    [
        unsigned(CLAIMS, "none"),
        unsigned(CLAIMS, "None"),
        unsigned(CLAIMS, "HS256"),
        signed(CLAIMS, "another secret that is just as long as the one"),
        signed(CLAIMS, SECRET * 2, "HS512"),
        signed(CLAIMS, RSA_KEY, "RS256"),
    ],
)
async def test_only_the_secret_signs(token: str) -> None:
    with pytest.raises(Unauthenticated):
        await shared().viewer(token)


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Secret("x" * 31)


async def test_issuer_and_audience_are_checked_where_configured() -> None:
    tokens = shared(issuer="us", audience="transfers")
    assert await tokens.viewer(tokens.issue(CUSTOMER, "alice", [], 60))
    for claims in ({}, {"iss": "us"}, {"iss": "them", "aud": "transfers"}, {"iss": "us", "aud": "else"}):
        with pytest.raises(Unauthenticated):
            await tokens.viewer(signed(CLAIMS | claims))
    assert await tokens.viewer(signed(CLAIMS | {"iss": "us", "aud": ["else", "transfers"]}))
    assert await shared().viewer(signed(CLAIMS | {"iss": "them", "aud": "else"}))


@pytest.mark.parametrize(("key", "algorithm"), [(RSA_KEY, "RS256"), (EC_KEY, "ES256")])
async def test_a_public_key_verifies(key: PrivateKey, algorithm: str) -> None:
    tokens = Tokens(PublicKey(pem(key)))
    assert (await tokens.viewer(signed(CLAIMS, key, algorithm))).subject == "alice"


def signed_with_public(key: str) -> str:
    """Return a token signed by HS256 with the public key as the secret.

    A server that trusts the algorithm in the header accepts it.
    """
    token = unsigned(CLAIMS, "HS256")
    return token + encoded(hmac.digest(key.encode(), token[:-1].encode(), "sha256"))


@pytest.mark.parametrize(
    "token",
    [
        signed(CLAIMS, OTHER_RSA_KEY, "RS256"),
        signed(CLAIMS, RSA_KEY, "RS512"),
        signed(CLAIMS, RSA_KEY, "PS256"),
        signed(CLAIMS, EC_KEY, "ES256"),
        signed_with_public(pem(RSA_KEY)),
        unsigned(CLAIMS, "none"),
    ],
)
async def test_only_its_own_algorithm_is_taken(token: str) -> None:
    with pytest.raises(Unauthenticated):
        await Tokens(PublicKey(pem(RSA_KEY))).viewer(token)


def test_other_curves_are_refused() -> None:
    with pytest.raises(ValueError, match="P-256"):
        PublicKey(pem(ec.generate_private_key(ec.SECP384R1())))


def unknown_curve() -> str:
    """Return a PEM with the points of a P-256 key and the identifier of another curve, prime239v1."""
    der = EC_KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    named, other = (bytes.fromhex(f"2a8648ce3d0301{number}") for number in ("07", "04"))
    return (
        f"-----BEGIN PUBLIC KEY-----\n{base64.b64encode(der.replace(named, other)).decode()}\n-----END PUBLIC KEY-----"
    )


@pytest.mark.parametrize(
    "given", ["", "nonsense", pem(EC_KEY)[:-40], pem(rsa.generate_private_key(65537, 1024)), unknown_curve()]
)
def test_an_invalid_public_key_has_a_clear_message(given: str) -> None:
    with pytest.raises(ValueError, match="A public key must be PEM: an RSA key of at least 2048 bits, or a key on"):
        PublicKey(given)


def test_only_a_shared_secret_issues() -> None:
    with pytest.raises(TypeError):
        Tokens(PublicKey(pem(RSA_KEY))).issue(CUSTOMER, "alice", [], 60)


class Publisher:
    """A server that publishes a key set, and counts the requests."""

    def __init__(self) -> None:
        self.keys: list[dict[str, Any]] = []
        self.asked = 0
        self.status = 200
        self.body: str | None = None
        self.elsewhere = ""

    def publish(self, **keys: PrivateKey) -> None:
        self.keys = [_jwk(key) | {"kid": kid, "use": "sig"} for kid, key in keys.items()]

    async def answer(self, request: Request) -> Response:
        self.asked += 1
        if self.elsewhere:
            return RedirectResponse(self.elsewhere)
        if self.body is not None:
            return Response(self.body)
        return JSONResponse({"keys": self.keys}, self.status)


class Slow(Publisher):
    """A publisher that answers when its gate is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()

    async def answer(self, request: Request) -> Response:
        await asyncio.to_thread(self.gate.wait)
        return await super().answer(request)


class Dripping(Publisher):
    """A publisher that sends spaces without end while `drips` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.drips = False
        self.dripping = threading.Event()

    async def answer(self, request: Request) -> Response:
        answer = await super().answer(request)
        return StreamingResponse(self._drops()) if self.drips else answer

    async def _drops(self) -> AsyncIterator[bytes]:
        while self.drips:
            yield b" "
            self.dripping.set()
            await asyncio.sleep(0.01)


def _jwk(key: PrivateKey) -> dict[str, Any]:
    if isinstance(key, rsa.RSAPrivateKey):
        return dict(RSAAlgorithm.to_jwk(key.public_key(), as_dict=True))
    return dict(ECAlgorithm.to_jwk(key.public_key(), as_dict=True))


@asynccontextmanager
async def published(publisher: Publisher) -> AsyncIterator[str]:
    """Run the publisher on a thread of its own, because it runs on another machine in production."""
    listener = listen("127.0.0.1", 0)
    app = Starlette(routes=[Route("/keys", publisher.answer)])
    server = DrainingServer(configure(app, TransportLimits()), _nothing, 1)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/keys"
    finally:
        server.should_exit = True
        await asyncio.to_thread(thread.join)


async def _nothing() -> None:
    pass


async def test_a_key_set_verifies_and_is_fetched_once() -> None:
    publisher = Publisher()
    publisher.publish(first=RSA_KEY, second=EC_KEY)
    async with published(publisher) as url:
        tokens = Tokens(KeySet(url))
        asked = [signed(CLAIMS, RSA_KEY, "RS256", "first"), signed(CLAIMS, EC_KEY, "ES256", "second")] * 5
        viewers = await asyncio.gather(*(tokens.viewer(token) for token in asked))
    assert {viewer.subject for viewer in viewers} == {"alice"}
    assert publisher.asked == 1


async def test_a_new_key_is_fetched_when_a_token_names_it_and_an_old_one_goes() -> None:
    publisher = Publisher()
    publisher.publish(old=RSA_KEY)
    async with published(publisher) as url:
        tokens = Tokens(KeySet(url, cooldown=0))
        old, new = signed(CLAIMS, RSA_KEY, "RS256", "old"), signed(CLAIMS, OTHER_RSA_KEY, "RS256", "new")
        await tokens.viewer(old)
        publisher.publish(new=OTHER_RSA_KEY)
        await tokens.viewer(new)
        with pytest.raises(Unauthenticated):
            await tokens.viewer(old)


async def test_unknown_keys_do_not_cause_a_fetch_each() -> None:
    publisher = Publisher()
    publisher.publish(first=RSA_KEY)
    async with published(publisher) as url:
        tokens = Tokens(KeySet(url))
        for number in range(5):
            with pytest.raises(Unauthenticated):
                await tokens.viewer(signed(CLAIMS, OTHER_RSA_KEY, "RS256", f"unknown {number}"))
    assert publisher.asked == 1


@pytest.mark.parametrize(
    "token",
    [
        signed(CLAIMS, RSA_KEY, "RS256"),
        signed(CLAIMS, OTHER_RSA_KEY, "RS256", "first"),
        signed(CLAIMS, RSA_KEY, "RS512", "first"),
        signed(CLAIMS, SECRET, "HS256", "secret"),
        "nonsense",
    ],
)
async def test_a_key_set_verifies_nothing_else(token: str) -> None:
    publisher = Publisher()
    publisher.publish(first=RSA_KEY)
    publisher.keys.append({"kty": "oct", "k": encoded(SECRET.encode()), "kid": "secret", "alg": "HS256"})
    async with published(publisher) as url:
        with pytest.raises(Unauthenticated):
            await Tokens(KeySet(url)).viewer(token)


async def test_an_unreachable_key_set_is_unavailable() -> None:
    publisher = Publisher()
    publisher.status = 500
    token = signed(CLAIMS, RSA_KEY, "RS256", "first")
    async with published(publisher) as url:
        tokens = Tokens(KeySet(url, cooldown=0))
        for _ in range(3):
            with pytest.raises(Unavailable):
                await tokens.viewer(token)
        publisher.status = 200
        publisher.publish(first=RSA_KEY)
        await tokens.viewer(token)


@pytest.mark.parametrize(
    "body", ["<html>", "", "[" * 100_000, "[]", '{"keys": []}', '{"keys": 1}', "\xff\xfe", " " * 1_000_001]
)
async def test_an_invalid_key_set_is_unavailable(body: str, caplog: pytest.LogCaptureFixture) -> None:
    publisher = Publisher()
    publisher.body = body
    async with published(publisher) as url:
        with pytest.raises(Unavailable):
            await Tokens(KeySet(url)).viewer(signed(CLAIMS, RSA_KEY, "RS256", "first"))
    assert [line.levelname for line in caplog.records if "key set" in line.message] == ["WARNING"]


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/a\x01b", "http://127.0.0.1:port/", "http://xn--zzz--/", "nonsense"]
)
async def test_a_key_set_at_an_unusable_url_is_unavailable(url: str, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(Unavailable):
        await Tokens(KeySet(url)).viewer(signed(CLAIMS, RSA_KEY, "RS256", "first"))
    assert [line.levelname for line in caplog.records if "key set" in line.message] == ["WARNING"]


async def test_a_redirect_of_the_key_set_is_not_followed() -> None:
    """A redirect could lead to a URL that the operator has not chosen, for example one without TLS."""
    other, publisher = Publisher(), Publisher()
    other.publish(first=RSA_KEY)
    async with published(other) as publisher.elsewhere, published(publisher) as url:
        with pytest.raises(Unavailable):
            await Tokens(KeySet(url)).viewer(signed(CLAIMS, RSA_KEY, "RS256", "first"))
    assert (publisher.asked, other.asked) == (1, 0)


async def test_known_keys_are_used_while_newer_ones_are_unavailable() -> None:
    publisher = Publisher()
    publisher.publish(first=RSA_KEY)
    token, unknown = (signed(CLAIMS, RSA_KEY, "RS256", name) for name in ("first", "second"))
    async with published(publisher) as url:
        tokens = Tokens(KeySet(url, lifespan=1e-9, cooldown=0))
        await tokens.viewer(token)
        publisher.status = 500
        asked = publisher.asked
        await tokens.viewer(token)
        with pytest.raises(Unavailable):
            await tokens.viewer(unknown)
        assert publisher.asked > asked
        await tokens.viewer(token)


async def test_a_token_with_a_known_key_does_not_wait_for_a_fetch() -> None:
    publisher = Dripping()
    publisher.publish(first=RSA_KEY)
    token = signed(CLAIMS, RSA_KEY, "RS256", "first")
    async with published(publisher) as url:
        tokens = Tokens(KeySet(url, lifespan=1e-9, cooldown=0, timeout=60))
        await tokens.viewer(token)
        publisher.drips = True
        async with asyncio.timeout(20):
            await tokens.viewer(token)
            await asyncio.to_thread(publisher.dripping.wait)
            for _ in range(5):
                await tokens.viewer(token)
        publisher.drips = False
    assert publisher.asked == 2


async def test_a_fetch_of_the_key_set_has_a_timeout(caplog: pytest.LogCaptureFixture) -> None:
    publisher = Dripping()
    publisher.drips = True
    async with published(publisher) as url:
        with pytest.raises(Unavailable):
            async with asyncio.timeout(20):
                await Tokens(KeySet(url, timeout=0.2)).viewer(signed(CLAIMS, RSA_KEY, "RS256", "first"))
        publisher.drips = False
    assert "The key set can't be fetched: TimeoutError" in caplog.messages


async def test_a_withdrawn_key_is_valid_until_the_newer_keys_have_arrived() -> None:
    publisher = Publisher()
    publisher.publish(old=RSA_KEY)
    old, new = (signed(CLAIMS, RSA_KEY, "RS256", name) for name in ("old", "new"))
    async with published(publisher) as url:
        tokens = Tokens(KeySet(url, lifespan=1e-9, cooldown=0))
        await tokens.viewer(old)
        publisher.publish(new=RSA_KEY)
        await tokens.viewer(old)
        await tokens.viewer(new)
        with pytest.raises(Unauthenticated):
            await tokens.viewer(old)


async def test_a_client_that_leaves_does_not_cancel_the_fetch_for_others() -> None:
    publisher = Slow()
    publisher.publish(first=RSA_KEY)
    async with published(publisher) as url:
        tokens = Tokens(KeySet(url))
        first, second = (
            asyncio.create_task(tokens.viewer(signed(CLAIMS, RSA_KEY, "RS256", "first"))) for _ in range(2)
        )
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait([first])
        publisher.gate.set()
        assert (await second).subject == "alice"
    assert publisher.asked == 1


async def test_a_subject_with_u_0000_is_refused() -> None:
    with pytest.raises(Unauthenticated):
        await Tokens(Secret(SECRET)).viewer(signed(CLAIMS | {"sub": "alice\0"}, SECRET, "HS256"))


def test_a_very_long_token_is_refused() -> None:
    with pytest.raises(Unauthenticated):
        bearer("Bearer " + "x" * 10_000)


async def test_a_fetch_does_not_block_the_event_loop() -> None:
    publisher = Slow()
    publisher.publish(first=RSA_KEY)
    async with published(publisher) as url:
        verifying = asyncio.create_task(Tokens(KeySet(url)).viewer(signed(CLAIMS, RSA_KEY, "RS256", "first")))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not verifying.done()
        publisher.gate.set()
        await verifying


@pytest.mark.parametrize("value", ["Bearer abc", "bearer  abc ", "BEARER abc"])
def test_the_token_of_a_header(value: str) -> None:
    assert bearer(value) == "abc"


@pytest.mark.parametrize("value", [None, "", "Bearer", "Bearer ", "abc", "Basic abc"])
def test_a_header_without_a_token_is_refused(value: str | None) -> None:
    with pytest.raises(Unauthenticated):
        bearer(value)
