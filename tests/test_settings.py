"""Normalised settings, unknown variables, and the secret beside the database."""

import secrets
from pathlib import Path

import pytest

from app.settings import Settings, kept_secret, unknown_variables


def url_in(folder: Path) -> str:
    return f"sqlite+aiosqlite:///{folder / 'transfers.sqlite3'}"


def test_variables_that_are_no_settings_are_told_and_others_are_not() -> None:
    known = [f"TRANSFERS_{name.upper()}" for name in Settings.model_fields]
    others = ["PATH", "TRANSFERS_TOKEN", "transfers_port"]
    assert list(unknown_variables([*known, *others, "TRANSFERS_BUDGET_RAT", "TRANSFERS_QQQQQQQQQQQQ"])) == [
        "TRANSFERS_BUDGET_RAT is not a setting: did you mean TRANSFERS_BUDGET_RATE?",
        "TRANSFERS_QQQQQQQQQQQQ is not a setting",
    ]


@pytest.mark.parametrize("written", ["https://a.example/", "https://a.example:443", "HTTPS://A.example", "*"])
def test_an_origin_is_understood_as_browsers_send_it(written: str) -> None:
    assert Settings(allowed_origins=(written,)).allowed_origins == ("*" if written == "*" else "https://a.example",)


def test_it_is_made_once_and_its_owners_alone(tmp_path: Path) -> None:
    made = kept_secret(url_in(tmp_path / "new"))
    assert kept_secret(url_in(tmp_path / "new")) == made
    (kept,) = (tmp_path / "new").iterdir()
    assert (kept.name, kept.stat().st_mode & 0o777) == ("transfers.sqlite3.secret", 0o600)


def test_a_start_that_is_cut_off_leaves_the_next_one_to_make_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(length: int) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(secrets, "token_urlsafe", killed)
    with pytest.raises(KeyboardInterrupt):
        kept_secret(url_in(tmp_path))
    monkeypatch.undo()
    assert len(kept_secret(url_in(tmp_path))) == 64


def test_two_who_start_at_once_have_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    others: list[str] = []

    def overtaken(length: int) -> str:
        monkeypatch.undo()
        others.append(kept_secret(url_in(tmp_path)))
        return "x" * 64

    monkeypatch.setattr(secrets, "token_urlsafe", overtaken)
    assert [kept_secret(url_in(tmp_path))] == others
    assert [len(one) for one in others] == [64]
