"""The start of a transfer: what may be asked, and what stands in the way."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime

from app.domain import effects as do
from app.domain.addresses import Address, AddressType, normalise
from app.domain.calls import Call, CallStatus, RingMethod
from app.domain.effects import NO_ORDERS, Cause, Rules
from app.domain.life import Change
from app.domain.refusals import Refusal, RefusalCode
from app.domain.transfer import FailurePolicy, HeldParty, Transfer, Type, derived_id

MOST_ADDRESSES = 10
TIMEOUT_SECONDS = (1, 600)
MOST_NOTE_CHARACTERS = 2_000
MOST_METADATA_ENTRIES = 20
MOST_KEY_CHARACTERS = 64
MOST_VALUE_CHARACTERS = 512
MOST_IDEMPOTENCY_CHARACTERS = 128


@dataclass(frozen=True, slots=True)
class StartRequest:
    type: Type
    transferer_call_id: str
    transferee_addresses: tuple[Address, ...]
    ring_method: RingMethod = RingMethod.RING_ALL
    ring_timeout: int = 30
    consult_timeout: int | None = None
    on_failure: FailurePolicy = FailurePolicy.RETURN_TO_TRANSFERER
    note: str | None = None
    metadata: tuple[tuple[str, str], ...] = ()
    idempotency_key: str | None = None


def normalised(request: StartRequest) -> StartRequest:
    """The request with its addresses in normal form; raises Refusal for the first thing that can't be."""
    _check_idempotency_key(request.idempotency_key)
    _check_count(request.transferee_addresses)
    addresses = tuple(
        normalise(address, "input", "transfereeAddresses", str(n))
        for n, address in enumerate(request.transferee_addresses)
    )
    _check_twice(addresses)
    _check_timeout(request.ring_timeout, "ringTimeout")
    if request.consult_timeout is not None:
        _check_timeout(request.consult_timeout, "consultTimeout")
    check_note(request.note)
    check_metadata(request.metadata)
    return replace(request, transferee_addresses=addresses)


def has_started(transfer: Transfer, request: StartRequest) -> bool:
    """Whether it is the same request that has started this transfer.

    One with more than any transfer has can't be: its fingerprint, which may take long, is not taken.
    """
    many = len(request.transferee_addresses) > MOST_ADDRESSES or len(request.metadata) > MOST_METADATA_ENTRIES
    return not many and transfer.fingerprint == fingerprint(request)


def fingerprint(request: StartRequest) -> str:
    """The same for the same normalised request, however its addresses are spelled and its metadata ordered."""
    plain = replace(_leniently(request), idempotency_key=None, metadata=tuple(sorted(request.metadata)))
    return hashlib.sha256(json.dumps(asdict(plain), sort_keys=True).encode()).hexdigest()


def _leniently(request: StartRequest) -> StartRequest:
    addresses = tuple(_or_as_given(address) for address in request.transferee_addresses)
    return replace(request, transferee_addresses=addresses)


def _or_as_given(address: Address) -> Address:
    try:
        return normalise(address)
    except Refusal:
        return address


def check_call(call: Call | None, others: Sequence[Call]) -> Call:
    """The transferer's call can be transferred: it is up, in a bridge, and somebody else is there."""
    if call is None:
        raise Refusal(RefusalCode.NOT_FOUND, "No such call.", "input", "transfererCallId")
    if call.status is not CallStatus.PROGRESSING:
        raise Refusal(
            RefusalCode.CALL_NOT_PROGRESSING,
            f"The call is {call.status.name}; only one that is PROGRESSING can be transferred.",
            "input",
            "transfererCallId",
        )
    if call.confbridge_id is None:
        raise Refusal(
            RefusalCode.NO_BRIDGE, "The call is in no bridge: it is connected to nobody.", "input", "transfererCallId"
        )
    if not others:
        raise Refusal(
            RefusalCode.NO_OTHER_PARTY,
            "Nobody else is on the call: there is nobody to move.",
            "input",
            "transfererCallId",
        )
    return call


def check_same_party(addresses: Iterable[Address], parties: Iterable[Call]) -> None:
    on_call = {call.party.key for call in parties} | {
        (AddressType.AGENT, call.owner_id) for call in parties if call.owner_id
    }
    for n, address in enumerate(addresses):
        if address.key in on_call:
            raise Refusal(
                RefusalCode.SAME_PARTY,
                "This destination is already on the call.",
                "input",
                "transfereeAddresses",
                str(n),
            )


def begin(
    request: StartRequest,
    *,
    transfer_id: str,
    call: Call,
    others: Sequence[Call],
    previous_transfer_id: str | None,
    subject: str,
    at: datetime,
    rules: Rules,
) -> Change:
    """Row 1: the record, and the orders that start it."""
    assert call.confbridge_id is not None
    record = Transfer(
        id=transfer_id,
        customer_id=call.customer_id,
        type=request.type,
        transferer_call_id=call.id,
        transferer_address=call.party,
        transferee_addresses=request.transferee_addresses,
        groupcall_id=derived_id(transfer_id, "groupcall"),
        confbridge_id=call.confbridge_id,
        held=tuple(HeldParty(other.id, other.is_on_hold, other.mute_direction) for other in others),
        tm_create=at,
        tm_update=at,
        ring_method=request.ring_method,
        ring_timeout=request.ring_timeout,
        consult_timeout=request.consult_timeout,
        on_failure=request.on_failure,
        previous_transfer_id=previous_transfer_id,
        note=request.note,
        metadata=dict(request.metadata),
        started_by=subject,
        idempotency_key=request.idempotency_key,
        fingerprint=fingerprint(request),
    )
    hold = (do.hold_held,) if request.type is Type.ATTENDED else ()
    orders = NO_ORDERS
    cause = Cause(at, rules)
    for effect in (do.keep_alive, *hold, do.dial, do.start_timer):
        record, more = effect(record, cause)
        orders = (*orders, *more)
    return Change(None, record, orders, None, subject)


def edits_of(note: str | None, metadata: tuple[tuple[str, str], ...] | None, *keep: str) -> Mapping[str, object]:
    """What an update writes: `keep` names the fields that it leaves as they are; None clears."""
    check_note(note)
    check_metadata(metadata or ())
    new = {"note": note, "metadata": dict(metadata or ())}
    return {name: value for name, value in new.items() if name not in keep}


def check_note(note: str | None) -> None:
    if note is not None and len(note) > MOST_NOTE_CHARACTERS:
        raise Refusal(
            RefusalCode.INVALID_INPUT, f"A note has at most {MOST_NOTE_CHARACTERS:,} characters.", "input", "note"
        )


def check_metadata(entries: Sequence[tuple[str, str]]) -> None:
    if len(entries) > MOST_METADATA_ENTRIES:
        raise _bad_metadata(f"At most {MOST_METADATA_ENTRIES} entries.")
    if len(dict(entries)) != len(entries):
        raise _bad_metadata("A key stands twice.")
    for n, (key, value) in enumerate(entries):
        if not 1 <= len(key) <= MOST_KEY_CHARACTERS:
            raise _bad_metadata(f"A key has 1 to {MOST_KEY_CHARACTERS} characters.", str(n), "key")
        if len(value) > MOST_VALUE_CHARACTERS:
            raise _bad_metadata(f"A value has at most {MOST_VALUE_CHARACTERS} characters.", str(n), "value")


def _bad_metadata(message: str, *where: str) -> Refusal:
    return Refusal(RefusalCode.INVALID_INPUT, message, "input", "metadata", *where)


def _check_idempotency_key(key: str | None) -> None:
    if key is not None and not 1 <= len(key) <= MOST_IDEMPOTENCY_CHARACTERS:
        raise Refusal(
            RefusalCode.INVALID_INPUT,
            f"An idempotency key has 1 to {MOST_IDEMPOTENCY_CHARACTERS} characters.",
            "input",
            "idempotencyKey",
        )


def _check_count(addresses: Sequence[Address]) -> None:
    if not addresses:
        raise Refusal(RefusalCode.NO_ADDRESS, "Name at least one destination.", "input", "transfereeAddresses")
    if len(addresses) > MOST_ADDRESSES:
        raise Refusal(
            RefusalCode.TOO_MANY_ADDRESSES, f"At most {MOST_ADDRESSES} destinations.", "input", "transfereeAddresses"
        )


def _check_twice(addresses: Sequence[Address]) -> None:
    seen = set()
    for n, address in enumerate(addresses):
        if address.key in seen:
            raise Refusal(
                RefusalCode.INVALID_ADDRESS,
                "This destination stands twice.",
                "input",
                "transfereeAddresses",
                str(n),
            )
        seen.add(address.key)


def _check_timeout(seconds: int, name: str) -> None:
    least, most = TIMEOUT_SECONDS
    if not least <= seconds <= most:
        raise Refusal(RefusalCode.OUT_OF_RANGE, f"{name} is {least} to {most} seconds.", "input", name)
