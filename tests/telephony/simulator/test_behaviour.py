"""How a destination behaves, by its address."""

import pytest

from app.domain.addresses import Address, AddressType
from app.telephony.simulator.behaviour import ANSWERS, MANNERS, NUMBERS, WAITS, manner_of

TEL, SIP, AGENT, EXTENSION = AddressType.TEL, AddressType.SIP, AddressType.AGENT, AddressType.EXTENSION


@pytest.mark.parametrize(("number", "word"), [(number, word) for number, word, _ in NUMBERS])
def test_a_number_and_its_word_behave_alike(number: str, word: str) -> None:
    manner = MANNERS[word]
    for address in (
        Address(TEL, f"+1555123{number}"),
        Address(AGENT, f"6a93f71e-f542-11ee-9a6e-aaaaaaaa{number}"),
        Address(EXTENSION, number),
        Address(EXTENSION, f"7{number}"),
        Address(EXTENSION, word),
        Address(EXTENSION, "6a93f71e-f542-11ee-9a6e-aaaaaaaaaaaa", target_name=word),
        Address(SIP, f"{number}@example.com"),
        Address(SIP, f"sip:{number}@example.com"),
        Address(SIP, f"sips:{word}:secret@example.com:5061"),
        Address(SIP, f"{word.upper()};tag=1@example.com"),
    ):
        assert manner_of(address, ANSWERS) == manner, address
        assert manner_of(address, WAITS) == manner, address


@pytest.mark.parametrize(
    "address",
    [
        Address(TEL, "+15550009999"),
        Address(TEL, "+15550009999", target_name="busy"),
        Address(SIP, "15550102@example.com"),
        Address(SIP, "ann@0102"),
        Address(EXTENSION, "2001"),
        Address(EXTENSION, "01"),
    ],
)
def test_any_other_address_does_what_is_asked_of_it(address: Address) -> None:
    assert manner_of(address, ANSWERS) == MANNERS["answer"]
    assert manner_of(address, WAITS) == MANNERS["manual"]
