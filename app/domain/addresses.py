"""Addresses of calls: their types, their normal forms, and which types can be dialled."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from uuid import UUID

from app.domain.refusals import Refusal, RefusalCode, refuse


class AddressType(StrEnum):
    TEL = "TEL"
    SIP = "SIP"
    AGENT = "AGENT"
    EXTENSION = "EXTENSION"
    CONFERENCE = "CONFERENCE"
    LINE = "LINE"
    EMAIL = "EMAIL"
    WHATSAPP = "WHATSAPP"
    WEBCHAT = "WEBCHAT"
    WEB_SESSION = "WEB_SESSION"
    AI = "AI"
    AI_TEAM = "AI_TEAM"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Address:
    type: AddressType
    target: str
    target_name: str = ""
    name: str = ""
    detail: str = ""

    @property
    def key(self) -> tuple[AddressType, str]:
        """The identity of the party: two addresses with the same key reach the same party.

        An extension that has a `target_name` is routed by that name. The scheme of a SIP address is ignored.
        """
        routed = self.target_name if self.type is AddressType.EXTENSION and self.target_name else self.target
        normal = DIALABLE.get(self.type, _as_it_is)(routed) or routed
        return self.type, normal.partition(":")[2] if normal.startswith(("sip:", "sips:")) else normal


def _tel(target: str) -> str | None:
    digits = re.sub(r"[ .()\[\]-]", "", target)
    return digits if re.fullmatch(r"\+[0-9]{7,15}", digits) else None


def _sip(target: str) -> str | None:
    scheme, bare = re.fullmatch(r"((?:sips?:)?)(.*)", target.strip(), re.IGNORECASE | re.DOTALL).groups()  # type: ignore[union-attr]
    found = re.fullmatch(r"([^\s@<>\x00-\x1f\x7f]+)@([A-Za-z0-9.:\[\]-]+)", bare)
    return f"{scheme.lower()}{found[1]}@{found[2].lower()}" if found else None


def _uuid(target: str) -> str | None:
    try:
        return str(UUID(target.strip()))
    except ValueError:
        return None


def _extension(target: str) -> str | None:
    bare = target.strip()
    return _uuid(bare) or (bare if re.fullmatch(r"[0-9A-Za-z_*#.+-]{1,64}", bare) else None)


def _as_it_is(target: str) -> str:
    return target


DIALABLE: dict[AddressType, Callable[[str], str | None]] = {
    AddressType.TEL: _tel,
    AddressType.SIP: _sip,
    AddressType.AGENT: _uuid,
    AddressType.EXTENSION: _extension,
}

EXPECTED = {
    AddressType.TEL: "an E.164 number: + and 7 to 15 digits",
    AddressType.SIP: "user@host",
    AddressType.AGENT: "the agent's UUID",
    AddressType.EXTENSION: "the extension's number or UUID",
}

LONGEST = 255


def normalise(address: Address, *field: str) -> Address:
    """Return the address in its normal form. Raise Refusal when it is malformed or of a type that can't be dialled."""
    refuse(wrong_with(address, *field))
    target = DIALABLE[address.type](address.target)
    assert target is not None
    return replace(address, target=target, target_name=address.target_name.strip())


def wrong_with(address: Address, *field: str) -> Iterator[Refusal]:
    """Yield a refusal for each fault of the address: a type that can't be dialled, or a malformed part."""
    if address.type not in DIALABLE:
        message = f"An address of type {address.type.name} can't be dialled."
        yield Refusal(RefusalCode.NOT_DIALABLE, message, *field, "type")
    elif _is_text(address.target) and DIALABLE[address.type](address.target) is None:
        message = f"Not a {address.type.name} address: expected {EXPECTED[address.type]}."
        yield Refusal(RefusalCode.INVALID_ADDRESS, message, *field, "target")
    for part in ("target", "target_name", "name", "detail"):
        if not _is_text(getattr(address, part)):
            message = f"At most {LONGEST} characters, none of them a control character."
            yield Refusal(RefusalCode.INVALID_ADDRESS, message, *field, _camel(part))


def _is_text(value: str) -> bool:
    return len(value) <= LONGEST and value.isprintable()


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)
