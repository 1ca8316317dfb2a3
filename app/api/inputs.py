"""The input types, and their conversion to what the use cases and the storage take."""

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import Annotated, Any, TypeVar

import strawberry
from strawberry import ID, Maybe

from app.api.enums import TransferSide
from app.api.errors import bad_input
from app.domain import addresses
from app.domain.addresses import AddressType
from app.domain.calls import CallDirection, CallStatus, MuteDirection, RingMethod
from app.domain.start import StartRequest, edits_of
from app.domain.text import is_storable
from app.domain.transfer import FailurePolicy, Reason, Status, Type
from app.ports import Rejection
from app.storage import filters

E = TypeVar("E", bound=Enum)

CONDITIONS = strawberry.argument(description="Conditions. Without them, everything matches.")


def known(value: E) -> E:
    """Return the value. Raise BAD_USER_INPUT for UNKNOWN, which stands for values that only the engine knows."""
    if value.name == "UNKNOWN":
        raise bad_input("UNKNOWN is not allowed as input.")
    return value


def _conditions(given: object) -> dict[str, Any]:
    """Return the conditions, each list without duplicates: a subscription compares every event with it.

    Raise BAD_USER_INPUT for a text that no database can store.
    """
    if not all(is_storable(it) for it in vars(given).values() if isinstance(it, str)):
        raise bad_input("A text must not contain U+0000.")
    return {name: list(dict.fromkeys(it)) if isinstance(it, list) else it for name, it in vars(given).items()}


@strawberry.input(
    description="Conditions on transfers. A transfer must meet all of them. A field that is absent or null is no "
    "condition. An empty list matches nothing."
)
class TransferFilter:
    type: Type | None = strawberry.field(description="Whether the transferer consults the destination first.")
    statuses: list[Status] | None = strawberry.field(description="The transfer has one of these statuses.")
    is_live: bool | None = strawberry.field(description="True: the transfer is live. False: it has ended.")
    call_id: ID | None = strawberry.field(
        description="A call that has a part in the transfer: as transferer, held party or destination, even if it did "
        "not answer."
    )
    confbridge_id: ID | None = strawberry.field(description="The bridge that the transfer is in.")
    started_by: str | None = strawberry.field(description="The subject of the token that started the transfer.")
    outcome_reasons: list[Reason] | None = strawberry.field(description="The transfer has one of these reasons.")
    tm_create_after: datetime | None = strawberry.field(description="The transfer was started at this time or later.")
    tm_create_before: datetime | None = strawberry.field(description="The transfer was started before this time.")
    tm_end_after: datetime | None = strawberry.field(description="The transfer ended at this time or later.")
    tm_end_before: datetime | None = strawberry.field(description="The transfer ended before this time.")
    include_deleted: bool = strawberry.field(default=False, description="Whether deleted transfers match as well.")


OptionalTransferFilter = Annotated[TransferFilter | None, CONDITIONS]


def transfer_filter(given: TransferFilter | None) -> filters.TransferFilter:
    return filters.TransferFilter(**_conditions(given)) if given else filters.TransferFilter()


@strawberry.input(
    description="Conditions on events. An event must meet all of them. A field that is absent or null is no "
    "condition. An empty list matches nothing."
)
class TransferEventFilter:
    transfer_id: ID | None = strawberry.field(description="The transfer of the event.")
    call_id: ID | None = strawberry.field(description="A call that has a part in the transfer of the event.")
    type: Type | None = strawberry.field(description="The type of the transfer.")
    statuses: list[Status] | None = strawberry.field(
        description="The event is a change into or out of one of these statuses."
    )


OptionalEventFilter = Annotated[TransferEventFilter | None, CONDITIONS]


def event_filter(given: TransferEventFilter | None) -> filters.EventFilter:
    return filters.EventFilter(**_conditions(given)) if given else filters.EventFilter()


@strawberry.input(
    description="Conditions on calls. A call must meet all of them. A field that is absent or null is no "
    "condition. An empty list matches nothing."
)
class CallFilter:
    statuses: list[CallStatus] | None = strawberry.field(description="The call has one of these statuses.")
    direction: CallDirection | None = strawberry.field(description="The direction of the call.")
    confbridge_id: ID | None = strawberry.field(description="The bridge that the call is in, on hold or not.")
    owner_id: ID | None = strawberry.field(description="The agent whose call it is.")
    address: str | None = strawberry.field(description="The exact `target` of the call's source or destination.")


OptionalCallFilter = Annotated[CallFilter | None, CONDITIONS]


def call_filter(given: CallFilter | None) -> filters.CallFilter:
    """Return the filter. Raise BAD_USER_INPUT for UNKNOWN and for a text that no database can store."""
    if not given:
        return filters.CallFilter()
    for value in (*(given.statuses or ()), *((given.direction,) if given.direction else ())):
        known(value)
    return filters.CallFilter(**_conditions(given))


@strawberry.input(description="The address of a destination, or of a party of a simulated call.")
class AddressInput:
    type: AddressType = strawberry.field(
        description="The kind of address. Only `TEL`, `SIP`, `AGENT` and `EXTENSION` can be dialled."
    )
    target: str = strawberry.field(
        description="`TEL`: `+` and 7 to 15 digits (spaces, dots, hyphens and brackets are removed). `SIP`: "
        "`user@host`. `AGENT`: the agent's UUID. `EXTENSION`: the extension's number or UUID. At most 255"
        " characters."
    )
    target_name: str = strawberry.field(
        default="",
        description="The name of the target. An extension is routed by it. At most 255 characters.",
    )
    name: str = strawberry.field(default="", description="The name to show to people. At most 255 characters.")
    detail: str = strawberry.field(default="", description="Further details to show to people. At most 255 characters.")


def address(given: AddressInput) -> addresses.Address:
    """Return the address as it was given. Raise BAD_USER_INPUT for the type UNKNOWN."""
    return addresses.Address(known(given.type), given.target, given.target_name, given.name, given.detail)


@strawberry.input(description="A key and a value to store with a transfer.")
class MetadataEntryInput:
    key: str = strawberry.field(description="1 to 64 characters, unique within the transfer.")
    value: str = strawberry.field(description="At most 512 characters.")


def _entries(given: list[MetadataEntryInput]) -> tuple[tuple[str, str], ...]:
    return tuple((entry.key, entry.value) for entry in given)


@strawberry.input(description="The transfer to start.")
class StartTransferInput:
    type: Type = strawberry.field(description="Whether the transferer consults the destination first.")
    transferer_call_id: ID = strawberry.field(
        description="The id of the transferer's call. It must be answered, and in a bridge with at least one other "
        "party."
    )
    transferee_addresses: list[AddressInput] = strawberry.field(
        description="The destinations, 1 to 10. None may be named twice or be on the call already. `transferee` is "
        "VoIPbin's word for the destination (RFC 5589: transfer target)."
    )
    ring_method: RingMethod = strawberry.field(
        default=RingMethod.RING_ALL, description="How several destinations are rung."
    )
    ring_timeout: int = strawberry.field(
        default=30,
        description="Seconds that the destinations may ring: all together, or each of them if `ringMethod` is "
        "`LINEAR`. 1 to 600.",
    )
    consult_timeout: int | None = strawberry.field(
        description="Seconds that the consultation may last, 1 to 600. Without it there is no limit.",
    )
    on_failure: FailurePolicy = strawberry.field(
        default=FailurePolicy.RETURN_TO_TRANSFERER,
        description="What happens to the held parties if the transferer has left and no destination answers.",
    )
    note: str | None = strawberry.field(description="A briefing for the destination, at most 2,000 characters.")
    metadata: list[MetadataEntryInput] = strawberry.field(
        default_factory=list, description="Keys and values to store with the transfer, at most 20 entries."
    )
    idempotency_key: str | None = strawberry.field(
        description="A text of 1 to 128 characters that you choose, such as a UUID. It makes the mutation safe to "
        "repeat, for example after a lost response: the same key with the same input returns the transfer "
        "that was started, and starts no other. The same key with another input is refused with "
        "`IDEMPOTENCY_CONFLICT`. Keys are kept for at least 24 hours.",
    )


def start_request(given: StartTransferInput) -> StartRequest:
    """Return what the use case takes, not validated yet. Raise BAD_USER_INPUT for UNKNOWN."""
    return StartRequest(
        type=given.type,
        transferer_call_id=given.transferer_call_id,
        transferee_addresses=tuple(address(one) for one in given.transferee_addresses),
        ring_method=known(given.ring_method),
        ring_timeout=given.ring_timeout,
        consult_timeout=given.consult_timeout,
        on_failure=given.on_failure,
        note=given.note,
        metadata=_entries(given.metadata),
        idempotency_key=given.idempotency_key,
    )


@strawberry.input(description="The transfer to complete.")
class CompleteTransferInput:
    transfer_id: ID = strawberry.field(description="The UUID of the transfer.")


@strawberry.input(description="The transfer to cancel.")
class CancelTransferInput:
    transfer_id: ID = strawberry.field(description="The UUID of the transfer.")


@strawberry.input(description="The side that the transferer is to speak with.")
class SwapTransferInput:
    transfer_id: ID = strawberry.field(description="The UUID of the transfer.")
    speak_to: TransferSide = strawberry.field(description="The side to speak with. The other side waits on hold.")


@strawberry.input(description="The transfer to merge.")
class MergeTransferInput:
    transfer_id: ID = strawberry.field(description="The UUID of the transfer.")


@strawberry.input(
    description="The changes to a transfer. A field that is absent stays as it is. A field that is null is cleared."
)
class UpdateTransferInput:
    transfer_id: ID = strawberry.field(description="The UUID of the transfer.")
    note: Maybe[str | None] = strawberry.field(
        description="A briefing for the destination, at most 2,000 characters. Null clears it."
    )
    metadata: Maybe[list[MetadataEntryInput] | None] = strawberry.field(
        description="The new entries, at most 20. They replace all present ones. Null removes all."
    )


def edits(given: UpdateTransferInput) -> Mapping[str, object]:
    """Return the new values of the fields that the client gave. Raise Refusal if a value breaks a rule."""
    keep = [name for name, value in (("note", given.note), ("metadata", given.metadata)) if value is None]
    note = given.note.value if given.note else None
    metadata = given.metadata.value if given.metadata else None
    return edits_of(note, _entries(metadata or []), *keep)


@strawberry.input(description="The transfer to delete.")
class DeleteTransferInput:
    transfer_id: ID = strawberry.field(description="The UUID of the transfer. It must have ended.")


@strawberry.input(
    description="A caller and an agent who talk through a new bridge. Its type is `CONNECT` (it ends when one "
    "party is left), or `CONFERENCE` if there are more parties."
)
class SimulateCallInput:
    caller: AddressInput = strawberry.field(description="The caller.")
    agent: AddressInput = strawberry.field(description="The agent. An address of type `AGENT` sets `Call.ownerId`.")
    parties: list[AddressInput] = strawberry.field(
        default_factory=list, description="Further parties of the call, at most 20."
    )


@strawberry.input(description="The ringing telephone to answer.")
class SimulateAnswerInput:
    call_id: ID = strawberry.field(description="The UUID of the ringing call.")


@strawberry.input(description="The ringing telephone that rejects the call.")
class SimulateRejectInput:
    call_id: ID = strawberry.field(description="The UUID of the ringing call.")
    reason: Rejection = strawberry.field(description="How the call is rejected.")


@strawberry.input(description="The telephone to hang up.")
class SimulateHangupInput:
    call_id: ID = strawberry.field(description="The UUID of the call. It must not have ended.")


@strawberry.input(description="The hold and mute that a user sets on their own telephone.")
class SimulateHoldInput:
    call_id: ID = strawberry.field(description="The UUID of the call. It must not have ended.")
    is_on_hold: bool = strawberry.field(description="True puts the call on hold. False takes it off hold.")
    mute_direction: MuteDirection = strawberry.field(
        default=MuteDirection.NONE, description="The direction of the mute."
    )
