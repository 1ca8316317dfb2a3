"""The console command says in one line what is wrong."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import app
from app.server.listener import listen


def said(*arguments: str, **variables: str) -> tuple[int, str]:
    """With these settings: how it ends, and what it says of them, on one line."""
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
        ({"auth_secret": "short"}, "TRANSFERS_AUTH_SECRET: Value error, a secret of at least 32 bytes"),
        ({"host": "0.0.0.0"}, "TRANSFERS_AUTH_SECRET (or a public key) is needed to listen beyond loopback"),
        ({"documents_only": "true"}, "TRANSFERS_DOCUMENTS_ONLY needs TRANSFERS_DOCUMENTS"),
        ({"documents": "/nowhere"}, "/nowhere is no folder"),
        ({"operation_seconds": "inf"}, "TRANSFERS_OPERATION_SECONDS: Input should be a finite number"),
        ({"start_timeout": "1e300"}, "TRANSFERS_START_TIMEOUT: Input should be less than or equal to 86400"),
        ({"budget": "10"}, "TRANSFERS_BUDGET is less than TRANSFERS_MAX_COST"),
    ],
)
def test_a_setting_that_can_not_be(variables: dict[str, str], why: str) -> None:
    code, told = said("serve", **variables)
    assert (code, told.startswith("transfers: ")) == (2, True)
    assert why in told


def test_a_trusted_document_that_the_schema_does_not_know(tmp_path: Path) -> None:
    (tmp_path / "old.graphql").write_text("{ transfers { gone } }")
    code, told = said("serve", documents=str(tmp_path))
    assert code == 2
    assert "old.graphql can't be run: Cannot query field 'gone'" in told


def test_a_port_in_use() -> None:
    with listen(port=0) as taken:
        port = taken.getsockname()[1]
        code, told = said("serve", port=str(port))
    assert (code, told) == (1, f"transfers: can't listen on 127.0.0.1:{port}: it is in use")
