"""Whose connections are counted together."""

import pytest

from app.server.places import line_of


@pytest.mark.parametrize(
    ("client", "line"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::7", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("unix", "unix"),
    ],
)
def test_addresses_of_one_line_are_one(client: str, line: str) -> None:
    assert line_of((client, 1)) == line


def test_a_client_without_an_address_has_a_line_too() -> None:
    assert line_of(None) == ""
