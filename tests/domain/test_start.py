"""Recognition of a repeated start."""

from dataclasses import replace

import pytest

from app.domain.start import StartRequest, fingerprint, has_started, normalised
from app.domain.transfer import Type
from tests.builders import TRANSFERER, tel, transfer

REQUEST = StartRequest(Type.BLIND, TRANSFERER, (tel("+1 555 0000101"),), metadata=(("b", "2"), ("a", "1")))


@pytest.mark.parametrize(
    ("again", "same"),
    [
        (replace(REQUEST, transferee_addresses=(tel("+15550000101"),)), True),
        (replace(REQUEST, metadata=(("a", "1"), ("b", "2"))), True),
        (replace(REQUEST, idempotency_key="another"), True),
        (replace(REQUEST, note="other"), False),
    ],
)
def test_the_same_however_it_is_written(again: StartRequest, same: bool) -> None:
    started = transfer(fingerprint=fingerprint(normalised(REQUEST)))
    assert has_started(started, again) is same


@pytest.mark.parametrize("much", [{"transferee_addresses": (tel("x"),) * 11}, {"metadata": (("k", "v"),) * 21}])
def test_what_has_more_than_a_transfer_can_have_is_not_even_looked_at(much: dict[str, tuple[object, ...]]) -> None:
    request = replace(REQUEST, **much)  # type: ignore[arg-type]
    assert not has_started(transfer(fingerprint=fingerprint(request)), request)
