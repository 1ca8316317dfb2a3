"""Which connections share a quota."""

from contextlib import AbstractAsyncContextManager

import httpx
import pytest

from app.limits import TransportLimits
from app.server.quota import address_key
from tests.server.sockets import connected
from tests.server.toy import site


@pytest.mark.parametrize(
    ("client", "key"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::7", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("unix", "unix"),
    ],
)
def test_an_ipv6_address_has_the_key_of_its_network(client: str, key: str) -> None:
    assert address_key((client, 1)) == key


def test_clients_without_an_address_share_one_key() -> None:
    assert address_key(None) == ""


def streamed(client: httpx.AsyncClient, address: str) -> AbstractAsyncContextManager[httpx.Response]:
    headers = {"Accept": "text/event-stream", "X-Forwarded-For": address}
    return client.stream("POST", "/graphql", json={"query": "subscription { forever }"}, headers=headers)


async def test_event_streams_and_websockets_of_one_network_are_counted_together() -> None:
    limits = TransportLimits(address_connections=1)
    async with site(limits) as running, running.client() as client, streamed(client, "2001:db8:1:2::1"):
        async with streamed(client, "2001:db8:1:2::2") as neighbour:
            assert neighbour.status_code == 429
        async with connected(running, **{"X-Forwarded-For": "2001:db8:1:2::3"}) as another:
            assert (await another.closed())[0] == 1013
        async with streamed(client, "2001:db8:1:3::1") as stranger:
            assert stranger.status_code == 200


async def test_x_forwarded_for_is_ignored_unless_a_trusted_proxy_sends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "192.0.2.1")
    limits = TransportLimits(address_connections=1)
    first, second = {"X-Forwarded-For": "203.0.113.1"}, {"X-Forwarded-For": "203.0.113.2"}
    async with site(limits) as running, connected(running, **first), connected(running, **second) as refused:
        assert (await refused.closed())[0] == 1013
