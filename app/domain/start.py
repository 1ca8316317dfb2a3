"""The start of a transfer: the request, its checks, and the first record and orders."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime

from app.domain import effects as do
from app.domain.addresses import Address, AddressType, normalise, wrong_with
from app.domain.calls import Call, CallStatus, RingMethod
from app.domain.effects import NO_ORDERS, Cause, Rules
from app.domain.life import Change
from app.domain.refusals import Refusal, RefusalCode, refuse
from app.domain.text import is_storable
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
    """Return the request with its addresses in normal form. Raise Refusal with every fault of the request."""
    refuse(_wrong_with(request))
    return replace(request, transferee_addresses=tuple(map(normalise, request.transferee_addresses)))


def _wrong_with(request: StartRequest) -> Iterator[Refusal]:
    yield from _wrong_addresses(request.transferee_addresses)
    yield from _wrong_timeout(request.ring_timeout, "ringTimeout")
    if request.consult_timeout is not None:
        yield from _wrong_timeout(request.consult_timeout, "consultTimeout")
    yield from _wrong_note(request.note)
    yield from _wrong_metadata(request.metadata)
    yield from _wrong_idempotency_key(request.idempotency_key)


def has_started(transfer: Transfer, request: StartRequest) -> bool:
    """Return whether this transfer was started by the same request."""
    # The fingerprint of a huge request takes long, and a request beyond the limits can't have started a transfer.
    is_too_big = len(request.transferee_addresses) > MOST_ADDRESSES or len(request.metadata) > MOST_METADATA_ENTRIES
    return not is_too_big and transfer.fingerprint == fingerprint(request)


def fingerprint(request: StartRequest) -> str:
    """Return a hash of the request. The spelling of addresses and the order of metadata don't change it."""
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
    """Return the transferer's call. Raise Refusal unless it is in progress, in a bridge, and with another party."""
    if call is None:
        raise Refusal(RefusalCode.NOT_FOUND, "No such call.", "input", "transfererCallId")
    if call.status is not CallStatus.PROGRESSING:
        raise Refusal(
            RefusalCode.CALL_NOT_PROGRESSING,
            f"The call is {call.status.name}. Only a call that is PROGRESSING can be transferred.",
            "input",
            "transfererCallId",
        )
    if call.confbridge_id is None:
        raise Refusal(
            RefusalCode.NO_BRIDGE,
            "The call is not in a bridge, so it is connected to nobody.",
            "input",
            "transfererCallId",
        )
    if not others:
        raise Refusal(
            RefusalCode.NO_OTHER_PARTY,
            "Nobody else is on the call, so there is nobody to transfer.",
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
    """Return the first version of the transfer, with the orders that start it (row 1)."""
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
    """Return the fields that an update writes. `keep` names fields that stay unchanged; None clears a field."""
    refuse((*_wrong_note(note), *_wrong_metadata(metadata or ())))
    new = {"note": note, "metadata": dict(metadata or ())}
    return {name: value for name, value in new.items() if name not in keep}


def _wrong_note(note: str | None) -> Iterator[Refusal]:
    if note is not None and not _fits(note, MOST_NOTE_CHARACTERS):
        yield _invalid(f"A note can have at most {MOST_NOTE_CHARACTERS:,} characters, and no U+0000.", "note")


def _wrong_metadata(entries: Sequence[tuple[str, str]]) -> Iterator[Refusal]:
    if len(entries) > MOST_METADATA_ENTRIES:
        yield _invalid(f"At most {MOST_METADATA_ENTRIES} entries are allowed.", "metadata")
        return
    if len(dict(entries)) != len(entries):
        yield _invalid("Two entries have the same key.", "metadata")
    for n, (key, value) in enumerate(entries):
        if not key or not _fits(key, MOST_KEY_CHARACTERS):
            message = f"A key must have 1 to {MOST_KEY_CHARACTERS} characters, and no U+0000."
            yield _invalid(message, "metadata", str(n), "key")
        if not _fits(value, MOST_VALUE_CHARACTERS):
            message = f"A value can have at most {MOST_VALUE_CHARACTERS} characters, and no U+0000."
            yield _invalid(message, "metadata", str(n), "value")


def _wrong_idempotency_key(key: str | None) -> Iterator[Refusal]:
    if key is not None and not (key and _fits(key, MOST_IDEMPOTENCY_CHARACTERS)):
        message = f"An idempotency key must have 1 to {MOST_IDEMPOTENCY_CHARACTERS} characters, and no U+0000."
        yield _invalid(message, "idempotencyKey")


def _fits(text: str, most: int) -> bool:
    return len(text) <= most and is_storable(text)


def _invalid(message: str, *where: str) -> Refusal:
    return Refusal(RefusalCode.INVALID_INPUT, message, "input", *where)


def _wrong_addresses(addresses: Sequence[Address]) -> Iterator[Refusal]:
    """Yield what is wrong with the addresses. When there are too many, they are not checked one by one."""
    field = ("input", "transfereeAddresses")
    if not addresses:
        yield Refusal(RefusalCode.NO_ADDRESS, "At least one destination is needed.", *field)
    if len(addresses) > MOST_ADDRESSES:
        yield Refusal(RefusalCode.TOO_MANY_ADDRESSES, f"At most {MOST_ADDRESSES} destinations are allowed.", *field)
        return
    seen = set[object]()
    for n, address in enumerate(addresses):
        if wrong := [*wrong_with(address, *field, str(n))]:
            yield from wrong
            continue
        key = normalise(address).key
        if key in seen:
            yield Refusal(RefusalCode.INVALID_ADDRESS, "This destination is listed twice.", *field, str(n))
        seen.add(key)


def _wrong_timeout(seconds: int, name: str) -> Iterator[Refusal]:
    least, most = TIMEOUT_SECONDS
    if not least <= seconds <= most:
        yield Refusal(RefusalCode.OUT_OF_RANGE, f"{name} must be between {least} and {most} seconds.", "input", name)
