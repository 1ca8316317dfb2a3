"""Normal forms of addresses, and the types that can be dialled."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.addresses import DIALABLE, Address, AddressType, normalise
from app.domain.refusals import Refusal, RefusalCode

TEL, SIP, AGENT, EXTENSION = AddressType.TEL, AddressType.SIP, AddressType.AGENT, AddressType.EXTENSION


@pytest.mark.parametrize(
    ("type_", "given", "normal"),
    [
        (TEL, "+1 (202) 555-0100", "+12025550100"),
        (TEL, "+49.89.1234567", "+49891234567"),
        (SIP, "SIP:Alice@Example.COM", "sip:Alice@example.com"),
        (SIP, "bob@10.0.0.1:5060", "bob@10.0.0.1:5060"),
        (SIP, "sips:carol@example.com", "sips:carol@example.com"),
        (AGENT, "A1B2C3D4-E5F6-7890-ABCD-EF1234567890", "a1b2c3d4-e5f6-7890-abcd-ef1234567890"),
        (EXTENSION, " 1001 ", "1001"),
    ],
)
def test_normal_form(type_: AddressType, given: str, normal: str) -> None:
    assert normalise(Address(type_, given)).target == normal


@pytest.mark.parametrize(
    ("type_", "target"),
    [
        (TEL, "2025550100"),
        (TEL, "+123456"),
        (TEL, "+1234567890123456"),
        (TEL, "+1202555o100"),
        (TEL, "+" + "\uff11" * 7),  # digits outside ASCII
        (SIP, "alice"),
        (SIP, "@example.com"),
        (SIP, "a b@example.com"),
        (SIP, "a@example.com\r\nX: y"),
        (AGENT, "1001"),
        (EXTENSION, ""),
        (EXTENSION, "a/b"),
        (TEL, "x" * 300),
    ],
)
def test_malformed(type_: AddressType, target: str) -> None:
    with pytest.raises(Refusal) as refused:
        normalise(Address(type_, target))
    assert refused.value.code is RefusalCode.INVALID_ADDRESS


@pytest.mark.parametrize("type_", [type_ for type_ in AddressType if type_ not in DIALABLE])
def test_known_but_not_dialable(type_: AddressType) -> None:
    with pytest.raises(Refusal) as refused:
        normalise(Address(type_, "anything"))
    assert refused.value.code is RefusalCode.NOT_DIALABLE
    assert type_.name in refused.value.message


def test_an_extension_is_routed_by_its_name() -> None:
    assert Address(EXTENSION, "1001", "desk").key == Address(EXTENSION, "2002", "desk").key


@pytest.mark.parametrize("spelled", ["sip:bob@x.example", "SIP:bob@X.example", "sips:bob@x.example", " bob@x.EXAMPLE"])
def test_a_sip_address_reaches_the_same_party_with_any_scheme(spelled: str) -> None:
    assert Address(SIP, spelled).key == Address(SIP, "bob@x.example").key


def test_a_number_reaches_the_same_party_however_it_is_written() -> None:
    assert Address(TEL, "+1 (202) 555-0100").key == Address(TEL, "+12025550100").key


@given(st.sampled_from(list(DIALABLE)), st.text(max_size=40), st.text(max_size=10))
def test_the_normal_form_is_its_own(type_: AddressType, target: str, name: str) -> None:
    try:
        once = normalise(Address(type_, target, name))
    except Refusal:
        return
    assert normalise(once) == once
