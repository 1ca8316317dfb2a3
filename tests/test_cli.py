"""The console command reports an error in one line."""

import asyncio
import signal
import sqlite3
from asyncio.subprocess import DEVNULL
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import app
from app.server.wire.serve import listen
from app.storage.claim import Claim
from tests.builders import CUSTOMER
from tests.serving import TRANSFERS, Served, free_port, until_ready


def said(*arguments: str, **variables: str) -> tuple[int, str]:
    """Run the command with these settings. Return its exit code and its standard error, joined to one line."""
    environment = {f"TRANSFERS_{name.upper()}": value for name, value in variables.items()}
    ended = CliRunner().invoke(app, arguments, env=environment)
    return ended.exit_code, " ".join(ended.stderr.split())


@pytest.fixture(autouse=True)
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRANSFERS_DATABASE_URL", f"sqlite+aiosqlite:///{tmp_path / 'transfers.sqlite3'}")
    monkeypatch.setenv("TRANSFERS_PORT", "0")


@pytest.mark.parametrize(
    ("variables", "why"),
    [
        ({"port": "99999"}, "TRANSFERS_PORT: Input should be less than or equal to 65535"),
        ({"auth_secret": "short"}, "TRANSFERS_AUTH_SECRET: must have at least 32 bytes"),
        ({"host": "0.0.0.0"}, "TRANSFERS_AUTH_SECRET (or a public key) is needed to listen on an address that is not"),
        ({"documents_only": "true"}, "TRANSFERS_DOCUMENTS_ONLY needs TRANSFERS_DOCUMENTS"),
        ({"documents": "/nowhere"}, "/nowhere is no folder"),
        ({"operation_seconds": "inf"}, "TRANSFERS_OPERATION_SECONDS: Input should be a finite number"),
        ({"start_timeout": "1e300"}, "TRANSFERS_START_TIMEOUT: Input should be less than or equal to 86400"),
        ({"budget": "10"}, "TRANSFERS_BUDGET is less than TRANSFERS_MAX_COST"),
        ({"budget": f"1{'0' * 400}"}, "TRANSFERS_BUDGET: Input should be less than or equal to 1000000000000"),
        ({"budget": f"1{'0' * 12}", "budget_rate": "1"}, "TRANSFERS_BUDGET would take decades to fill"),
        ({"order_tries": "10000"}, "TRANSFERS_ORDER_TRIES: Input should be less than or equal to 1000"),
        ({"customer_connections": f"1{'0' * 10}"}, "TRANSFERS_CUSTOMER_CONNECTIONS: Input should be less than"),
        ({"host": ""}, "TRANSFERS_HOST: String should have at least 1 character"),
        ({"allowed_origins": "https://a.example"}, "TRANSFERS_ALLOWED_ORIGINS: must be a JSON list"),
        ({"allowed_origins": ""}, "TRANSFERS_ALLOWED_ORIGINS: must be a JSON list"),
        ({"allowed_origins": '["https://a.example/desk"]'}, "TRANSFERS_ALLOWED_ORIGINS: must be origins such as"),
        ({"allowed_origins": '["localhost:5173"]'}, "TRANSFERS_ALLOWED_ORIGINS: must be origins such as"),
        ({"allowed_origins": '["null"]'}, "TRANSFERS_ALLOWED_ORIGINS: must be origins such as"),
        ({"database_url": "abc"}, "TRANSFERS_DATABASE_URL: must be sqlite+aiosqlite:///"),
        ({"database_url": "sqlite:///x"}, "TRANSFERS_DATABASE_URL: must be sqlite+aiosqlite:///"),
        ({"database_url": "sqlite+aiosqlite://"}, "TRANSFERS_DATABASE_URL: must be sqlite+aiosqlite:///"),
        ({"database_url": "sqlite+aiosqlite:///x?mode=memory"}, "TRANSFERS_DATABASE_URL: must be sqlite"),
        ({"database_url": "postgresql+asyncpg://a:b@c/d"}, "TRANSFERS_DATABASE_URL: must be sqlite"),
        ({"database_url": "postgresql+asyncpg://c:port/d"}, "TRANSFERS_DATABASE_URL: must be sqlite"),
        (
            {"database_url": "sqlite+aiosqlite:////\udcff"},
            "TRANSFERS_DATABASE_URL: must be the path of a file in UTF-8",
        ),
        ({"auth_jwks_url": "nonsense"}, "TRANSFERS_AUTH_JWKS_URL: must be an address that begins with http"),
        ({"auth_jwks_url": "file:///etc/keys"}, "TRANSFERS_AUTH_JWKS_URL: must be an address"),
        ({"auth_jwks_url": "https://keys.example:port/"}, "TRANSFERS_AUTH_JWKS_URL: must be an address"),
        (
            {"auth_jwks_url": "http://u:pw@keys.example/"},
            "TRANSFERS_AUTH_JWKS_URL: must be an address without user",
        ),
        ({"otel_endpoint": "nonsense"}, "TRANSFERS_OTEL_ENDPOINT: must be an address that begins with http"),
        ({"otel_endpoint": ""}, "TRANSFERS_OTEL_ENDPOINT: must be an address that begins with http"),
        ({"documents": ""}, "TRANSFERS_DOCUMENTS: must be the path of a folder"),
        ({"auth_jwks_url": "http://keys.example/a\x01b"}, "an address that begins with http"),
        ({"auth_jwks_url": "http://keys.example:99999/"}, "an address that begins with http"),
        ({"auth_jwks_url": "http://xn--zzz--/"}, "an address that begins with http"),
        ({"auth_public_key": "nonsense"}, "A public key must be PEM"),
        ({"auth_secret": "x" * 32, "auth_jwks_url": "https://keys.example"}, "only one of TRANSFERS_AUTH_SECRET, "),
        ({"auth_public_key": "x", "auth_jwks_url": "https://keys.example"}, "only one of TRANSFERS_AUTH_SECRET, "),
        ({"auth_secret": "x" * 32, "auth_public_key": "x"}, "only one of TRANSFERS_AUTH_SECRET, "),
    ],
)
def test_a_setting_that_can_not_be(variables: dict[str, str], why: str) -> None:
    code, told = said("serve", **variables)
    assert (code, told.startswith("transfers: ")) == (2, True)
    assert why in told


@pytest.mark.parametrize("host", ["keys.example", "[keys.example", "keys.example:port", " "])
def test_a_password_in_an_address_is_not_quoted(host: str) -> None:
    code, told = said(
        "serve", auth_jwks_url=f"http://us:er@pass:word@{host}/", otel_endpoint=f"http://pass:word@{host}"
    )
    assert code == 2
    assert "word" not in told.replace("password", "")


def test_a_demo_whose_tokens_would_be_signed_elsewhere() -> None:
    code, told = said("serve", "--demo", auth_jwks_url="https://keys.example")
    assert code == 2
    assert "--demo signs a token" in told


def test_a_host_that_no_name_can_have() -> None:
    code, told = said("serve", host="." * 300, auth_secret="x" * 32)
    assert (code, told.startswith("transfers: can't listen on ..")) == (1, True)


def make_garbage(file: Path) -> None:
    file.write_text("of the kind that no database is made of")


def make_newer(file: Path) -> None:
    """Make a database with a revision of a later release."""
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32))")
        connection.execute("INSERT INTO alembic_version VALUES ('9999')")
    connection.close()


@pytest.mark.parametrize("make", [Path.mkdir, make_garbage, make_newer])
def test_a_database_that_is_none_of_ours(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(file := tmp_path / "transfers.sqlite3")
    code, told = said("serve")
    assert (code, told.startswith(f"transfers: {file} can't be used: ")) == (1, True)


def test_a_database_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code, told = said("serve", database_url=f"sqlite+aiosqlite:///{tmp_path / 'file' / 'x'}", auth_secret="x" * 32)
    assert (code, told.startswith(f"transfers: {tmp_path / 'file' / 'x'} can't be used: ")) == (1, True)


def test_an_option_that_can_not_be_is_named_as_it_was_given() -> None:
    assert said("serve", "--port", "99999") == (2, "transfers: --port: Input should be less than or equal to 65535")
    assert said("serve", "--host", "")[1] == "transfers: --host: String should have at least 1 character"


def test_a_folder_in_which_no_secret_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code, told = said("serve", database_url=f"sqlite+aiosqlite:///{tmp_path / 'file' / 'x'}")
    assert (code, told) == (
        2,
        f"transfers: the secret that signs tokens can't be kept in {tmp_path / 'file' / 'x.secret'}: File exists. "
        "It is kept beside the database, whose path is in TRANSFERS_DATABASE_URL",
    )


def test_a_variable_that_is_misspelt_is_told_with_the_name_that_was_meant(caplog: pytest.LogCaptureFixture) -> None:
    assert said("token", "--customer", CUSTOMER, prot="1") == (0, "")
    assert caplog.messages == ["TRANSFERS_PROT is not a setting: did you mean TRANSFERS_PORT?"]


def test_the_version() -> None:
    ended = CliRunner().invoke(app, ["--version"])
    assert (ended.exit_code, ended.stdout) == (0, f"transfers {version('transfers')}\n")


def make_undecodable(file: Path) -> None:
    file.write_bytes(b"\xff" * 32)


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch, make_undecodable])
def test_a_secret_beside_the_database_that_is_none(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(file := tmp_path / "transfers.sqlite3.secret")
    code, told = said("serve")
    assert (code, told.startswith("transfers: ")) == (2, True)
    assert str(file) in told


def test_a_database_that_another_server_has(tmp_path: Path) -> None:
    claim = Claim(file := tmp_path / "transfers.sqlite3")
    claim.take()
    assert said("serve") == (1, f"transfers: {file} is in use by another server, and only one can use it at a time")
    assert said("token", "--customer", CUSTOMER) == (0, "")
    assert said("schema") == (0, "")
    claim.give_up()


def test_a_trusted_document_that_the_schema_does_not_know(tmp_path: Path) -> None:
    (tmp_path / "old.graphql").write_text("{ transfers { gone } }")
    code, told = said("serve", documents=str(tmp_path))
    assert code == 2
    assert "old.graphql can't be run: Cannot query field 'gone'" in told


def test_a_trusted_document_that_asks_for_what_is_hidden(tmp_path: Path) -> None:
    (tmp_path / "types.graphql").write_text("{ __schema { queryType { name } } }")
    code, told = said("serve", documents=str(tmp_path), introspection="false")
    assert code == 2
    assert "types.graphql can't be run: GraphQL introspection has been disabled" in told


def test_a_port_in_use() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        code, told = said("serve", port=str(port))
    why = "the port is in use. Set another one with --port or TRANSFERS_PORT"
    assert (code, told) == (1, f"transfers: can't listen on 127.0.0.1:{port}: {why}")


@pytest.mark.parametrize("token", ["", " ", "secret\n", "secret\nsecret", "secret secret", "sécret", "secret\udcff"])
def test_a_token_that_is_none_is_not_shown(token: str) -> None:
    code, told = said("watch", "--token", token, "--url", "http://127.0.0.1:1")
    assert (code, told) == (2, "transfers: the token is malformed: it can only have letters, digits and -._~+/=")


@pytest.mark.slow
@pytest.mark.parametrize("streams", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", ">/dev/full", "2>/dev/full"])
async def test_a_server_without_standard_streams_runs(tmp_path: Path, streams: str) -> None:
    port = free_port()
    command = ("sh", "-c", f'exec "$0" serve --port {port} {streams}', str(TRANSFERS))
    process = await asyncio.create_subprocess_exec(*command, stdout=DEVNULL, stderr=DEVNULL)
    try:
        await until_ready(Served(process, f"http://127.0.0.1:{port}", "", tmp_path / "transfers.sqlite3.lock"))
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
    assert process.returncode == -signal.SIGTERM
