"""What an operator sets, from TRANSFERS_* variables of the environment."""

import ipaddress
import os
import secrets
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal, Self

from platformdirs import user_data_path
from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.engine import make_url

OTEL = (
    "opentelemetry.sdk",
    "opentelemetry.exporter.otlp.proto.http",
    "opentelemetry.instrumentation.asgi",
    "opentelemetry.instrumentation.sqlalchemy",
)
"""What `app.tracing` imports: the extra `otel`."""


Seconds = Annotated[float, Field(ge=0.001, le=86_400)]


class Settings(BaseSettings):
    """Every field is the variable of the same name in capitals, with TRANSFERS_ before it."""

    model_config = SettingsConfigDict(env_prefix="TRANSFERS_", frozen=True, extra="ignore", allow_inf_nan=False)

    database_url: str = Field(default="", description="An SQLAlchemy URL; a file in the per-user data folder")
    telephony: Literal["simulator"] = Field(default="simulator", description="The telephony engine")
    host: str = Field(default="127.0.0.1", description="The address to listen on")
    port: int = Field(default=8000, ge=0, le=65535, description="The port to listen on; 0 takes a free one")
    log_format: Literal["console", "json"] = Field(default="console", description="How log lines are written")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(default="INFO", description="The least of them")

    auth_secret: SecretStr | None = Field(
        default=None,
        description="The shared secret of HS256 tokens, 32 bytes or more; when absent one is made and kept beside the "
        "database, and only a loopback address may be bound",
    )
    auth_public_key: str | None = Field(default=None, description="A PEM public key: RS256 and ES256 tokens")
    auth_jwks_url: str | None = Field(default=None, description="Where the public keys of RS256/ES256 tokens are")
    auth_issuer: str | None = Field(default=None, description="The `iss` that a token must have")
    auth_audience: str | None = Field(default=None, description="The `aud` that a token must have")

    allowed_origins: tuple[str, ...] = Field(
        default=(), description="Origins of other sites' pages that may call, as a JSON list"
    )
    documents: Path | None = Field(
        default=None, description="A folder of *.graphql files, which clients may ask for by their SHA-256"
    )
    documents_only: bool = Field(default=False, description="Whether these alone may run")
    budget: int = Field(
        default=250_000, ge=0, description="Points of cost that a customer's subject may save up and spend at once"
    )
    budget_rate: int = Field(
        default=25_000, gt=0, description="Points a second that it gets back; a read of a transfer and its links has 25"
    )
    max_cost: int = Field(default=100_000, ge=1, description="Points that one operation may cost")
    body_bytes: int = Field(default=100_000, ge=1, description="Of an HTTP body, and of a WebSocket message")
    operation_seconds: Seconds = Field(default=30, description="How long a query or a mutation may take")
    customer_connections: int = Field(
        default=2_000, ge=1, description="WebSockets and event streams that one customer may have open"
    )
    address_connections: int = Field(default=2_000, ge=1, description="The same, of one client address")
    customer_subscriptions: int = Field(
        default=10_000, ge=1, description="Subscriptions that one customer may have open, on all its connections"
    )
    http_draft: bool = Field(
        default=False, description="Status codes of the GraphQL-over-HTTP draft of 2026: 422 and 294"
    )
    introspection: bool | None = Field(default=None, description="By default in demo mode or on loopback")
    graphiql: bool | None = Field(default=None, description="By default in demo mode or on loopback")
    sweep_seconds: Seconds = Field(default=30, description="Seconds until a subscriber looks for news unwoken")
    metrics: bool | None = Field(
        default=None, description="Whether `/metrics` is served: by default in demo mode or on loopback"
    )
    otel_endpoint: str | None = Field(
        default=None,
        description="Where traces go, by OTLP over HTTP, as `http://127.0.0.1:4318`; needs the extra `otel`",
    )
    otel_sampling: float = Field(
        default=1, ge=0, le=1, description="Share of traces that are sent; who calls with a trace of his own decides it"
    )
    grace_seconds: float = Field(
        default=10, ge=0, le=3_600, description="How long a stopping server waits for work in flight"
    )

    start_timeout: Seconds = Field(default=10, description="Seconds for the engine to confirm a transfer's start")
    recall_pause: Seconds = Field(default=10, description="Seconds between two recalls of the transferer")
    recall_attempts: int = Field(default=3, ge=1, description="How often the transferer is rung back")
    order_seconds: Seconds = Field(default=5, description="Seconds that the engine has to answer an order")
    order_tries: int = Field(default=5, ge=1, description="How often a refused order of an ending transfer is tried")

    simulator_pace: float = Field(
        default=1, ge=0.001, le=1000, description="How fast simulated phones act: 10 is ten times as fast"
    )
    simulator_seed: int = Field(default=0, description="Of the simulator's faults")
    simulator_delay: float = Field(default=0, ge=0, le=60, description="Most seconds that a simulated report is late")
    simulator_duplicates: float = Field(default=0, ge=0, le=1, description="Share of reports that come twice")
    simulator_refusals: float = Field(default=0, ge=0, le=1, description="Share of orders that are refused")
    simulator_outages: float = Field(default=0, ge=0, le=1, description="Share of orders that get no answer")

    @field_validator("auth_secret")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value().encode()) < 32:
            raise ValueError("a secret of at least 32 bytes")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.documents_only and self.documents is None:
            raise ValueError("TRANSFERS_DOCUMENTS_ONLY needs TRANSFERS_DOCUMENTS")
        if self.budget < self.max_cost:
            raise ValueError("TRANSFERS_BUDGET is less than TRANSFERS_MAX_COST: such an operation would never run")
        return self

    @field_validator("otel_endpoint")
    @classmethod
    def _has_packages(cls, value: str | None) -> str | None:
        if value is not None and (absent := [name for name in OTEL if not is_installed(name)]):
            raise ValueError(f"traces need packages that are not installed: {', '.join(absent)}")
        return value

    @property
    def url(self) -> str:
        return self.database_url or f"sqlite+aiosqlite:///{user_data_path('transfers') / 'transfers.sqlite3'}"

    @property
    def has_own_keys(self) -> bool:
        """Whether the operator says who may sign tokens."""
        return bool(self.auth_secret or self.auth_public_key or self.auth_jwks_url)

    @property
    def is_loopback(self) -> bool:
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # nor what it would be in
        return False


def database_file(url: str) -> Path | None:
    """The file of an embedded database."""
    parsed = make_url(url)
    is_file = parsed.get_backend_name() == "sqlite" and parsed.database not in (None, "", ":memory:")
    return Path(str(parsed.database)) if is_file else None


def make_folder(url: str) -> None:
    file = database_file(url)
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)


def kept_secret(url: str) -> str:
    """The secret beside the database: made at the first start, and readable by its owner alone."""
    file = database_file(url)
    if file is None:
        raise ValueError("TRANSFERS_AUTH_SECRET is needed: there is no database file to keep a secret beside")
    make_folder(url)
    path = file.with_name(f"{file.name}.secret")
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text()
    with os.fdopen(descriptor, "w") as secret:
        secret.write(secrets.token_urlsafe(48))
    return path.read_text()
