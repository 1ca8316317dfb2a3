"""The settings of an operator, from the environment variables TRANSFERS_*."""

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
"""The modules of the extra `otel` that `app.tracing` imports."""


PREFIX = "TRANSFERS_"
OTHER_VARIABLES = ("token",)
"""Variables with the same prefix that are not settings: the token of `transfers watch`."""
DRIVER = "sqlite+aiosqlite"
TRANSPORT = TransportLimits()
"""Where the defaults of these settings stand."""
LIFETIME = 10**9
"""Most seconds until a budget is full again. Responses contain that time, and dates end with the year 9999."""


def _web_address(value: str) -> str:
    """Check the URL with httpx, which will request it, so that an invalid URL fails at the start and not later."""
    try:
        url = httpx.URL(value)
        is_whole = url.scheme in ("http", "https") and bool(url.host) and (url.port is None or 0 < url.port < 65_536)
    except (httpx.InvalidURL, ValueError):
        is_whole = False
    if not is_whole or value.split() != [value]:
        raise ValueError("must be an address that begins with http:// or https://")
    if url.userinfo:
        raise ValueError("must be an address without user and password, because addresses are logged")
    return value


Seconds = Annotated[float, Field(ge=0.001, le=86_400)]
Points = Annotated[int, Field(le=10**12)]
Count = Annotated[int, Field(ge=1, le=10**9)]
Times = Annotated[int, Field(ge=1, le=1_000)]
Word = Annotated[str, Field(min_length=1)]
WebAddress = Annotated[str, AfterValidator(_web_address)]


class Settings(BaseSettings):
    """The settings. Each field is read from the variable TRANSFERS_ plus the field's name in capitals."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", allow_inf_nan=False)

    database_url: str = Field(
        default="",
        description=f"The SQLite database: `{DRIVER}:///` and the path of the file. "
        "Default: a file in the user's data folder",
    )
    telephony: Literal["simulator"] = Field(default="simulator", description="The telephony engine")
    host: Word = Field(default="127.0.0.1", description="The address to listen on")
    port: int = Field(default=8000, ge=0, le=65535, description="The port to listen on. 0: any free port")
    log_format: Literal["console", "json"] = Field(default="console", description="The format of log lines")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="The lowest level that is logged"
    )

    auth_secret: SecretStr | None = Field(
        default=None,
        description="The shared secret of HS256 tokens, at least 32 bytes. Default: a secret is created and kept "
        "beside the database, and the server can only listen on loopback",
    )
    auth_public_key: Word | None = Field(
        default=None, description="A public key in PEM, instead of a secret. Tokens are RS256 or ES256"
    )
    auth_jwks_url: WebAddress | None = Field(
        default=None, description="The URL of a JSON Web Key Set, instead of a secret. Tokens are RS256 or ES256"
    )
    auth_issuer: Word | None = Field(default=None, description="The `iss` that tokens must have")
    auth_audience: Word | None = Field(default=None, description="The `aud` that tokens must have")

    allowed_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=TRANSPORT.allowed_origins,
        description="The other sites whose pages can call the server, as a JSON list of origins: "
        '`["https://desk.example"]`, or `["*"]` for all. In demo mode, pages of loopback origins can call it, too',
    )
    documents: Path | None = Field(
        default=None,
        description="A folder of trusted documents: `*.graphql` files, which clients can run by their SHA-256",
    )
    documents_only: bool = Field(default=False, description="Run trusted documents only")
    budget: Points = Field(
        default=250_000,
        ge=0,
        description="Points of cost that one subject of a customer can save up, and spend at once",
    )
    budget_rate: Points = Field(
        default=25_000,
        gt=0,
        description="Points that a budget regains each second. A query of one transfer and its links costs 25",
    )
    max_cost: Points = Field(default=100_000, ge=1, description="Most points that one operation can cost")
    body_bytes: Count = Field(
        default=TRANSPORT.body_bytes, description="Most bytes of an HTTP body or of a WebSocket message"
    )
    operation_seconds: Seconds = Field(
        default=TRANSPORT.operation_seconds,
        description="Seconds that a query or a mutation can take. The arrival of its body has the same limit",
    )
    customer_connections: Count = Field(
        default=TRANSPORT.customer_connections,
        description="Most WebSockets and event streams that one customer can have open",
    )
    address_connections: Count = Field(
        default=TRANSPORT.address_connections,
        description="Most WebSockets and event streams from one client address. The same limit applies, separately, to "
        "plain HTTP connections",
    )
    customer_subscriptions: Count = Field(
        default=TRANSPORT.customer_subscriptions,
        description="Most subscriptions that one customer can have open, on all connections together",
    )
    http_draft: bool = Field(
        default=TRANSPORT.http_draft,
        description="Use the status codes 422 and 294 of the GraphQL-over-HTTP draft of 2026",
    )
    introspection: bool | None = Field(
        default=None,
        description="Let clients read the schema: by introspection, at `/schema.graphql`, and without a token at "
        "`/docs`. Default: only in demo mode or on loopback",
    )
    graphiql: bool | None = Field(
        default=None,
        description="Serve GraphiQL at `/graphiql`, and show a demo's token at `/`. Default: only in demo mode or on "
        "loopback",
    )
    sweep_seconds: Seconds = Field(
        default=30, description="Seconds after which a subscription looks for new events without a wake-up"
    )
    metrics: bool | None = Field(
        default=None, description="Serve `/metrics`. Default: only in demo mode or on loopback"
    )
    otel_endpoint: WebAddress | None = Field(
        default=None,
        description="The OTLP/HTTP collector that receives traces, such as `http://127.0.0.1:4318`. Needs `make otel`",
    )
    otel_sampling: float = Field(
        default=1,
        ge=0,
        le=1,
        description="Share of traces that are sent, from 0 to 1. A caller with a trace of its own decides for itself",
    )
    grace_seconds: float = Field(
        default=10,
        ge=0,
        le=3_600,
        description="Seconds that a stopping server waits for running work. Two seconds later it cancels the rest, and "
        "takes at most two more to send the last traces",
    )

    start_timeout: Seconds = Field(
        default=10, description="Seconds that the engine has to confirm the start of a transfer"
    )
    recall_pause: Seconds = Field(default=10, description="Seconds between two recalls of the transferer")
    recall_attempts: Times = Field(default=3, description="Most recalls in one transfer")
    order_seconds: Seconds = Field(default=5, description="Seconds that the engine has to answer an order")
    order_tries: Times = Field(
        default=5, description="Most tries of an order that the engine refuses while a transfer is ending"
    )

    simulator_pace: float = Field(
        default=1, ge=0.001, le=1000, description="The speed of simulated phones. At 10 they act ten times as fast"
    )
    simulator_seed: int = Field(default=0, ge=0, le=10**12, description="The seed of the simulator's random faults")
    simulator_delay: float = Field(default=0, ge=0, le=60, description="Most seconds that a simulated report is late")
    simulator_duplicates: float = Field(
        default=0, ge=0, le=1, description="Share of simulated reports that arrive twice, from 0 to 1"
    )
    simulator_refusals: float = Field(
        default=0, ge=0, le=1, description="Share of orders that the simulator refuses, from 0 to 1"
    )
    simulator_outages: float = Field(
        default=0, ge=0, le=1, description="Share of orders that the simulator does not answer, from 0 to 1"
    )

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
        """Parse the JSON here: pydantic-settings would end the start with a traceback."""
        if not isinstance(value, str):
            return value
        try:
            return TypeAdapter(list[str]).validate_json(value)
        except ValidationError:
            raise ValueError('must be a JSON list, such as ["https://a.example"]') from None

    @field_validator("allowed_origins")
    @classmethod
    def _as_browsers_send_them(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """Remove a final slash and a default port, and convert to lower case, as browsers do."""
        try:
            return tuple(sorted(normalize_allowed_origins(value)))
        except ValueError:
            raise ValueError('must be origins such as https://a.example, without a path, or "*"') from None

    @field_validator("documents", mode="before")
    @classmethod
    def _named(cls, value: object) -> object:
        if value == "":  # Path("") would be the present folder
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
            raise ValueError(
                "TRANSFERS_BUDGET is less than TRANSFERS_MAX_COST, so an operation of that cost could never run"
            )
        if self.budget > self.budget_rate * LIFETIME:
            raise ValueError("TRANSFERS_BUDGET would take decades to fill at TRANSFERS_BUDGET_RATE")
        if [self.auth_secret, self.auth_public_key, self.auth_jwks_url].count(None) < 2:
            names = "TRANSFERS_AUTH_SECRET, TRANSFERS_AUTH_PUBLIC_KEY and TRANSFERS_AUTH_JWKS_URL"
            raise ValueError(f"only one of {names} can be set")
        return self

    @field_validator("otel_endpoint")
    @classmethod
    def _has_packages(cls, value: str | None) -> str | None:
        if value is not None and (absent := [name for name in OTEL if not is_installed(name)]):
            install = "run `make otel`, or `pip install '.[otel]'` in the project's folder"
            raise ValueError(f"traces need packages that are not installed ({', '.join(absent)}): {install}")
        return value

    @property
    def url(self) -> str:
        return self.database_url or f"sqlite+aiosqlite:///{user_data_path('transfers') / 'transfers.sqlite3'}"

    @property
    def has_own_keys(self) -> bool:
        """Whether the operator has set a secret or a public key."""
        return self.auth_secret is not None or self.verifies_only

    @property
    def verifies_only(self) -> bool:
        """Whether tokens are signed elsewhere, so that this server has no key to sign them."""
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
    """Yield a warning for each variable with our prefix that is not a setting, with the most similar setting."""
    known = {*Settings.model_fields, *OTHER_VARIABLES}
    for name in sorted(names):
        field = name.lower().removeprefix(PREFIX.lower())
        if name.upper().startswith(PREFIX) and field not in known:
            nearest = get_close_matches(field, known, 1)
            yield f"{name} is not a setting" + "".join(f": did you mean {PREFIX}{one.upper()}?" for one in nearest)


def is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # its parent package is not installed
        return False


def _is_text(value: str) -> bool:
    """Return whether the value was UTF-8. Python decodes other bytes of the environment to lone surrogates."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _names_file(url: str) -> bool:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # ValueError: the port is not a number
        return False
    is_plain = not (parsed.host or parsed.username or parsed.port or parsed.query)
    return parsed.drivername == DRIVER and is_plain and parsed.database not in (None, "", ":memory:")


def database_file(url: str) -> Path:
    """Return the path of the SQLite file in a URL that the settings have accepted."""
    return Path(str(make_url(url).database))


def kept_secret(url: str) -> str:
    """Return the secret that is kept beside the database. Create it at the first start, readable only by its owner."""
    path = Path(f"{database_file(url)}.secret")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _make_secret(path)
        secret = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        hint = "It is kept beside the database, whose path is in TRANSFERS_DATABASE_URL"
        raise ValueError(f"the secret that signs tokens can't be kept in {path}: {why}. {hint}") from error
    if len(secret.encode()) < 32:
        raise ValueError(f"{path} has less than 32 bytes. Remove it, and the next start creates a new secret")
    return secret


def _make_secret(path: Path) -> None:
    """Create the secret atomically: a crash leaves no partial file, and two starts at once use the same secret."""
    descriptor, name = mkstemp(prefix=f"{path.name}.", dir=path.parent)  # mkstemp makes it readable only by its owner
    try:
        with os.fdopen(descriptor, "w") as secret:
            secret.write(secrets.token_urlsafe(48))
            secret.flush()
            os.fsync(descriptor)
        with suppress(FileExistsError):
            os.link(name, path)
    finally:
        os.unlink(name)
