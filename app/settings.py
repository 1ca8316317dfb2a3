"""What an operator sets, from TRANSFERS_* variables of the environment."""

import ipaddress
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import suppress
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkstemp
from typing import Annotated, Literal, Self

import httpx
from platformdirs import user_data_path
from pydantic import AfterValidator, Field, SecretStr, TypeAdapter, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError
from strawberry.http.websocket_origin import normalize_allowed_origins

from app.limits import TransportLimits

OTEL = (
    "opentelemetry.sdk",
    "opentelemetry.exporter.otlp.proto.http",
    "opentelemetry.instrumentation.asgi",
    "opentelemetry.instrumentation.sqlalchemy",
)
"""What `app.tracing` imports: the extra `otel`."""


PREFIX = "TRANSFERS_"
OTHER_VARIABLES = ("token",)
"""Variables with the same prefix that are no settings of the server: the token of `transfers watch`."""
DRIVER = "sqlite+aiosqlite"
TRANSPORT = TransportLimits()
"""Where the defaults of these settings stand."""
LIFETIME = 10**9
"""Seconds. Answers tell when a budget is full again, and dates end with the year 9999."""


def _web_address(value: str) -> str:
    """Read it as httpx does, which asks there for the keys: what httpx can't ask is refused at the start."""
    try:
        url = httpx.URL(value)
        is_whole = url.scheme in ("http", "https") and bool(url.host) and (url.port is None or 0 < url.port < 65_536)
    except (httpx.InvalidURL, ValueError):
        is_whole = False
    if not is_whole or value.split() != [value]:
        raise ValueError("must be an address that begins with http:// or https://")
    if url.userinfo:
        raise ValueError("must be an address without user and password, which would be logged")
    return value


Seconds = Annotated[float, Field(ge=0.001, le=86_400)]
Points = Annotated[int, Field(le=10**12)]
Count = Annotated[int, Field(ge=1, le=10**9)]
Times = Annotated[int, Field(ge=1, le=1_000)]
Word = Annotated[str, Field(min_length=1)]
WebAddress = Annotated[str, AfterValidator(_web_address)]


class Settings(BaseSettings):
    """Every field is the variable of the same name in capitals, with TRANSFERS_ before it."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", allow_inf_nan=False)

    database_url: str = Field(
        default="",
        description=f"`{DRIVER}:///` and the path of an SQLite file; when absent one in the per-user data folder",
    )
    telephony: Literal["simulator"] = Field(default="simulator", description="The telephony engine")
    host: Word = Field(default="127.0.0.1", description="The address to listen on")
    port: int = Field(default=8000, ge=0, le=65535, description="The port to listen on; 0 takes a free one")
    log_format: Literal["console", "json"] = Field(default="console", description="How log lines are written")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(default="INFO", description="The least of them")

    auth_secret: SecretStr | None = Field(
        default=None,
        description="The shared secret of HS256 tokens, 32 bytes or more; when absent one is made and kept beside the "
        "database, and only a loopback address may be bound",
    )
    auth_public_key: Word | None = Field(
        default=None, description="A PEM public key, in place of a secret: RS256 and ES256 tokens"
    )
    auth_jwks_url: WebAddress | None = Field(
        default=None, description="Where the public keys of RS256/ES256 tokens are, in place of one"
    )
    auth_issuer: Word | None = Field(default=None, description="The `iss` that a token must have")
    auth_audience: Word | None = Field(default=None, description="The `aud` that a token must have")

    allowed_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=TRANSPORT.allowed_origins,
        description='Origins of other sites whose pages may call, as a JSON list: `["https://desk.example"]`, or '
        '`["*"]` for all. In demo mode pages of loopback origins may, too',
    )
    documents: Path | None = Field(
        default=None, description="A folder of *.graphql files, which clients may ask for by their SHA-256"
    )
    documents_only: bool = Field(default=False, description="Whether these alone may run")
    budget: Points = Field(
        default=250_000, ge=0, description="Points of cost that a customer's subject may save up and spend at once"
    )
    budget_rate: Points = Field(
        default=25_000, gt=0, description="Points a second that it gets back; a read of a transfer and its links has 25"
    )
    max_cost: Points = Field(default=100_000, ge=1, description="Points that one operation may cost")
    body_bytes: Count = Field(default=TRANSPORT.body_bytes, description="Of an HTTP body, and of a WebSocket message")
    operation_seconds: Seconds = Field(
        default=TRANSPORT.operation_seconds,
        description="How long a query or a mutation may take, and before it the arrival of its body",
    )
    customer_connections: Count = Field(
        default=TRANSPORT.customer_connections,
        description="WebSockets and event streams that one customer may have open",
    )
    address_connections: Count = Field(
        default=TRANSPORT.address_connections,
        description="The same, of one client address; and connections besides WebSockets, as many again",
    )
    customer_subscriptions: Count = Field(
        default=TRANSPORT.customer_subscriptions,
        description="Subscriptions that one customer may have open, on all its connections",
    )
    http_draft: bool = Field(
        default=TRANSPORT.http_draft, description="Status codes of the GraphQL-over-HTTP draft of 2026: 422 and 294"
    )
    introspection: bool | None = Field(
        default=None,
        description="Whether the schema can be read, by introspection, at `/schema.graphql`, and without a token at "
        "`/docs`: by default in demo mode or on loopback",
    )
    graphiql: bool | None = Field(
        default=None,
        description="Whether `/graphiql` is served, and whether a demo's `/` shows a token: by default in demo "
        "mode or on loopback",
    )
    sweep_seconds: Seconds = Field(default=30, description="Seconds until a subscriber looks for news unwoken")
    metrics: bool | None = Field(
        default=None, description="Whether `/metrics` is served: by default in demo mode or on loopback"
    )
    otel_endpoint: WebAddress | None = Field(
        default=None,
        description="Where traces go, by OTLP over HTTP, as `http://127.0.0.1:4318`; needs `make otel`",
    )
    otel_sampling: float = Field(
        default=1, ge=0, le=1, description="Share of traces that are sent; who calls with a trace of his own decides it"
    )
    grace_seconds: float = Field(
        default=10,
        ge=0,
        le=3_600,
        description="How long a stopping server waits for work in flight; what is not done two seconds later is "
        "cancelled, and the last traces have two more",
    )

    start_timeout: Seconds = Field(default=10, description="Seconds for the engine to confirm a transfer's start")
    recall_pause: Seconds = Field(default=10, description="Seconds between two recalls of the transferer")
    recall_attempts: Times = Field(default=3, description="How often the transferer is rung back")
    order_seconds: Seconds = Field(default=5, description="Seconds that the engine has to answer an order")
    order_tries: Times = Field(default=5, description="How often a refused order of an ending transfer is tried")

    simulator_pace: float = Field(
        default=1, ge=0.001, le=1000, description="How fast simulated phones act: 10 is ten times as fast"
    )
    simulator_seed: int = Field(default=0, ge=0, le=10**12, description="Of the simulator's faults")
    simulator_delay: float = Field(default=0, ge=0, le=60, description="Most seconds that a simulated report is late")
    simulator_duplicates: float = Field(default=0, ge=0, le=1, description="Share of reports that come twice")
    simulator_refusals: float = Field(default=0, ge=0, le=1, description="Share of orders that are refused")
    simulator_outages: float = Field(default=0, ge=0, le=1, description="Share of orders that get no answer")

    @field_validator("database_url")
    @classmethod
    def _of_a_file(cls, value: str) -> str:
        if not _is_text(value):
            raise ValueError("must be the path of a file in UTF-8")
        if value and not _names_file(value):
            raise ValueError(f"must be {DRIVER}:/// and the path of a file: other databases are not supported")
        return value

    @field_validator("allowed_origins", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        """Read here: pydantic-settings would end the start with a trace of its own."""
        if not isinstance(value, str):
            return value
        try:
            return TypeAdapter(list[str]).validate_json(value)
        except ValidationError:
            raise ValueError('must be a JSON list, as ["https://a.example"]') from None

    @field_validator("allowed_origins")
    @classmethod
    def _as_browsers_send_them(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """Leave out the slash at the end, a default port and capitals: browsers do."""
        try:
            return tuple(sorted(normalize_allowed_origins(value)))
        except ValueError:
            raise ValueError('must be origins such as https://a.example, without a path, or "*"') from None

    @field_validator("documents", mode="before")
    @classmethod
    def _named(cls, value: object) -> object:
        if value == "":  # it would be the folder that the server is started in
            raise ValueError("must be the path of a folder")
        return value

    @field_validator("auth_secret")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value().encode()) < 32:
            raise ValueError("must have at least 32 bytes")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.documents_only and self.documents is None:
            raise ValueError("TRANSFERS_DOCUMENTS_ONLY needs TRANSFERS_DOCUMENTS")
        if self.budget < self.max_cost:
            raise ValueError("TRANSFERS_BUDGET is less than TRANSFERS_MAX_COST: such an operation would never run")
        if self.budget > self.budget_rate * LIFETIME:
            raise ValueError("TRANSFERS_BUDGET would take a lifetime to come back at TRANSFERS_BUDGET_RATE")
        if [self.auth_secret, self.auth_public_key, self.auth_jwks_url].count(None) < 2:
            names = "TRANSFERS_AUTH_SECRET, TRANSFERS_AUTH_PUBLIC_KEY and TRANSFERS_AUTH_JWKS_URL"
            raise ValueError(f"of {names} only one may be set")
        return self

    @field_validator("otel_endpoint")
    @classmethod
    def _has_packages(cls, value: str | None) -> str | None:
        if value is not None and (absent := [name for name in OTEL if not is_installed(name)]):
            install = "run `make otel`, or pip install '.[otel]' in the project's folder"
            raise ValueError(f"traces need packages that are not installed ({', '.join(absent)}): {install}")
        return value

    @property
    def url(self) -> str:
        return self.database_url or f"sqlite+aiosqlite:///{user_data_path('transfers') / 'transfers.sqlite3'}"

    @property
    def has_own_keys(self) -> bool:
        """Whether the operator says who may sign tokens."""
        return self.auth_secret is not None or self.verifies_only

    @property
    def verifies_only(self) -> bool:
        """Whether tokens are signed elsewhere, with a key that is not here."""
        return self.auth_public_key is not None or self.auth_jwks_url is not None

    @property
    def is_loopback(self) -> bool:
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def unknown_variables(names: Iterable[str]) -> Iterator[str]:
    """A sentence for each variable that looks like a setting and is none, with the name that was probably meant."""
    known = {*Settings.model_fields, *OTHER_VARIABLES}
    for name in sorted(names):
        field = name.lower().removeprefix(PREFIX.lower())
        if name.upper().startswith(PREFIX) and field not in known:
            nearest = get_close_matches(field, known, 1)
            yield f"{name} is not a setting" + "".join(f": did you mean {PREFIX}{one.upper()}?" for one in nearest)


def is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # nor what it would be in
        return False


def _is_text(value: str) -> bool:
    """Octets of the environment that are no UTF-8 come as lone surrogates."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _names_file(url: str) -> bool:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # the latter for a port that is no number
        return False
    is_plain = not (parsed.host or parsed.username or parsed.port or parsed.query)
    return parsed.drivername == DRIVER and is_plain and parsed.database not in (None, "", ":memory:")


def database_file(url: str) -> Path:
    """As the settings have it, an SQLite file."""
    return Path(str(make_url(url).database))


def kept_secret(url: str) -> str:
    """The secret beside the database: made at the first start, and readable by its owner alone."""
    path = Path(f"{database_file(url)}.secret")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _make_secret(path)
        secret = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        hint = "Its folder is that of the database, which TRANSFERS_DATABASE_URL names"
        raise ValueError(f"the secret that signs tokens can't be kept in {path}: {why}. {hint}") from error
    if len(secret.encode()) < 32:
        raise ValueError(f"{path} holds no secret of 32 bytes: remove it, and a new one is made")
    return secret


def _make_secret(path: Path) -> None:
    """Whole or not at all: a crash leaves no half of it, and of two who start at the same time one's stands."""
    descriptor, name = mkstemp(prefix=f"{path.name}.", dir=path.parent)  # readable by its owner alone
    try:
        with os.fdopen(descriptor, "w") as secret:
            secret.write(secrets.token_urlsafe(48))
            secret.flush()
            os.fsync(descriptor)
        with suppress(FileExistsError):
            os.link(name, path)
    finally:
        os.unlink(name)
