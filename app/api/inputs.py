"""What clients hand in, and what the rest of the house takes it for."""

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import Any, TypeVar

import strawberry
from strawberry import ID, Maybe

from app.api.enums import TransferSide
from app.api.refusals import bad_input
from app.domain import addresses
from app.domain.addresses import AddressType
from app.domain.calls import CallDirection, CallStatus, MuteDirection, RingMethod
from app.domain.start import StartRequest, edits_of
from app.domain.text import is_storable
from app.domain.transfer import FailurePolicy, Reason, Status, Type
from app.ports import Rejection
from app.storage import feeds, lists

E = TypeVar("E", bound=Enum)


def known(value: E) -> E:
    """UNKNOWN stands for what we were told and do not know; nobody can ask for it. Raises BAD_USER_INPUT."""
    if value.name == "UNKNOWN":
        raise bad_input("UNKNOWN can't be asked for.")
    return value


def _conditions(given: object) -> dict[str, Any]:
    """What stands twice in a list, once: a subscription holds every event against it.

    Raises BAD_USER_INPUT for a text that no database could look for.
    """
    if not all(is_storable(it) for it in vars(given).values() if isinstance(it, str)):
        raise bad_input("A text has no U+0000.")
    return {name: list(dict.fromkeys(it)) if isinstance(it, list) else it for name, it in vars(given).items()}


@strawberry.input(
    description="Which transfers are wanted: those that meet every condition. A field that is left out or null is no "
    "condition; an empty list wants nothing."
)
class TransferFilter:
    type: Type | None = strawberry.field(description="With or without consultation.")
    statuses: list[Status] | None = strawberry.field(description="In one of these statuses.")
    is_live: bool | None = strawberry.field(description="Under way (true) or ended (false).")
    call_id: ID | None = strawberry.field(
        description="In which this call has any part: transferer, held party, or a destination, also one that did not "
        "answer."
    )
    confbridge_id: ID | None = strawberry.field(description="In this bridge.")
    started_by: str | None = strawberry.field(description="Started by the token of this subject.")
    outcome_reasons: list[Reason] | None = strawberry.field(description="Not completed for one of these reasons.")
    tm_create_after: datetime | None = strawberry.field(description="Started at this moment or later.")
    tm_create_before: datetime | None = strawberry.field(description="Started before this moment.")
    tm_end_after: datetime | None = strawberry.field(description="Ended at this moment or later.")
    tm_end_before: datetime | None = strawberry.field(description="Ended before this moment.")
    include_deleted: bool = strawberry.field(default=False, description="Whether deleted ones are wanted, too.")


def transfer_filter(given: TransferFilter | None) -> lists.TransferFilter:
    return lists.TransferFilter(**_conditions(given)) if given else lists.TransferFilter()


@strawberry.input(
    description="Which events are wanted: those that meet every condition. A field that is left out or null is no "
    "condition; an empty list wants nothing."
)
class TransferEventFilter:
    transfer_id: ID | None = strawberry.field(description="Of this transfer.")
    call_id: ID | None = strawberry.field(description="Of the transfers in which this call has any part.")
    type: Type | None = strawberry.field(description="Of transfers with or without consultation.")
    statuses: list[Status] | None = strawberry.field(
        description="By which a transfer entered or left one of these statuses."
    )


def event_filter(given: TransferEventFilter | None) -> feeds.EventFilter:
    return feeds.EventFilter(**_conditions(given)) if given else feeds.EventFilter()


@strawberry.input(
    description="Which calls are wanted: those that meet every condition. A field that is left out or null is no "
    "condition; an empty list wants nothing."
)
class CallFilter:
    statuses: list[CallStatus] | None = strawberry.field(description="In one of these statuses.")
    direction: CallDirection | None = strawberry.field(description="In this direction.")
    confbridge_id: ID | None = strawberry.field(description="In this bridge, on hold or not.")
    owner_id: ID | None = strawberry.field(description="Of this agent.")
    address: str | None = strawberry.field(
        description="From or to this: the exact `target` of the source or the destination."
    )


def call_filter(given: CallFilter | None) -> lists.CallFilter:
    """Raises BAD_USER_INPUT."""
    if not given:
        return lists.CallFilter()
    for value in (*(given.statuses or ()), *((given.direction,) if given.direction else ())):
        known(value)
    return lists.CallFilter(**_conditions(given))


@strawberry.input(description="Whom to call.")
class AddressInput:
    type: AddressType = strawberry.field(
        description="What kind of address it is. Only `TEL`, `SIP`, `AGENT` and `EXTENSION` can be dialled."
    )
    target: str = strawberry.field(
        description="`TEL`: `+` and 7 to 15 digits (spaces, dots, hyphens and brackets are taken out); `SIP`: "
        "`user@host`; `AGENT`: the agent's UUID; `EXTENSION`: its number or UUID. At most 255 characters."
    )
    target_name: str = strawberry.field(
        default="",
        description="The name that goes with the target; an extension is routed by it. At most 255 characters.",
    )
    name: str = strawberry.field(default="", description="A name to show to people. At most 255 characters.")
    detail: str = strawberry.field(default="", description="Anything else to show to people. At most 255 characters.")


def address(given: AddressInput) -> addresses.Address:
    """As it was given. Raises BAD_USER_INPUT for a type that can't be asked for."""
    return addresses.Address(known(given.type), given.target, given.target_name, given.name, given.detail)


@strawberry.input(description="Something to keep with a transfer.")
class MetadataEntryInput:
    key: str = strawberry.field(description="1 to 64 characters; each key once.")
    value: str = strawberry.field(description="At most 512 characters.")


def _entries(given: list[MetadataEntryInput]) -> tuple[tuple[str, str], ...]:
    return tuple((entry.key, entry.value) for entry in given)


@strawberry.input(description="Who passes which call on to whom, and how.")
class StartTransferInput:
    type: Type = strawberry.field(description="With or without consultation.")
    transferer_call_id: ID = strawberry.field(
        description="The call of the transferer: answered, in a bridge, and with somebody else in it."
    )
    transferee_addresses: list[AddressInput] = strawberry.field(
        description="Whom to call, 1 to 10, none twice, and nobody who is on the call. `transferee` is VoIPbin's word "
        "for the destination, the standards' transfer target."
    )
    ring_method: RingMethod = strawberry.field(
        default=RingMethod.RING_ALL, description="How several destinations are rung."
    )
    ring_timeout: int = strawberry.field(
        default=30, description="Seconds that destinations may ring: all together, or with `LINEAR` each. 1 to 600."
    )
    consult_timeout: int | None = strawberry.field(
        description="Seconds that the consultation may last, 1 to 600; without it, as long as it likes.",
    )
    on_failure: FailurePolicy = strawberry.field(
        default=FailurePolicy.RETURN_TO_TRANSFERER,
        description="What becomes of the held parties when the transferer has left and the destination is not reached.",
    )
    note: str | None = strawberry.field(description="A briefing for the destination; at most 2,000 characters.")
    metadata: list[MetadataEntryInput] = strawberry.field(
        default_factory=list, description="What to keep with it; at most 20 entries."
    )
    idempotency_key: str | None = strawberry.field(
        description="1 to 128 characters of your own making, such as a UUID. The same key and the same input again, "
        "after a lost answer say, give the transfer that was started, and start nothing; the same key with another "
        "input is refused with `IDEMPOTENCY_CONFLICT`. Kept for 24 hours at least.",
    )


def start_request(given: StartTransferInput) -> StartRequest:
    """Raises BAD_USER_INPUT."""
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


@strawberry.input(description="Which transfer to complete.")
class CompleteTransferInput:
    transfer_id: ID = strawberry.field(description="The transfer.")


@strawberry.input(description="Which transfer to take back.")
class CancelTransferInput:
    transfer_id: ID = strawberry.field(description="The transfer.")


@strawberry.input(description="With whom the transferer shall speak.")
class SwapTransferInput:
    transfer_id: ID = strawberry.field(description="The transfer.")
    speak_to: TransferSide = strawberry.field(description="With whom; the others wait meanwhile.")


@strawberry.input(description="Which transfer to make a three-way call of.")
class MergeTransferInput:
    transfer_id: ID = strawberry.field(description="The transfer.")


@strawberry.input(description="What to write on a transfer. A field that is left out stays as it is; null clears it.")
class UpdateTransferInput:
    transfer_id: ID = strawberry.field(description="The transfer.")
    note: Maybe[str | None] = strawberry.field(
        description="A briefing for the destination; at most 2,000 characters. Null clears it."
    )
    metadata: Maybe[list[MetadataEntryInput] | None] = strawberry.field(
        description="All that is to be kept with it, in place of what is there; at most 20 entries. Null clears it."
    )


def edits(given: UpdateTransferInput) -> Mapping[str, object]:
    """Raises Refusal."""
    keep = [name for name, value in (("note", given.note), ("metadata", given.metadata)) if value is None]
    note = given.note.value if given.note else None
    metadata = given.metadata.value if given.metadata else None
    return edits_of(note, _entries(metadata or []), *keep)


@strawberry.input(description="Which transfer to delete.")
class DeleteTransferInput:
    transfer_id: ID = strawberry.field(description="The transfer; it must have ended.")


@strawberry.input(
    description="A caller and an agent, talking through a new bridge: of type `CONNECT` (it ends when one party is "
    "left), or `CONFERENCE` when more parties join."
)
class SimulateCallInput:
    caller: AddressInput = strawberry.field(description="Who calls in.")
    agent: AddressInput = strawberry.field(description="Who takes the call; an `AGENT` address sets `Call.ownerId`.")
    parties: list[AddressInput] = strawberry.field(
        default_factory=list, description="Who else is on the call: at most 20."
    )


@strawberry.input(description="Which ringing telephone is picked up.")
class SimulateAnswerInput:
    call_id: ID = strawberry.field(description="The call, which rings.")


@strawberry.input(description="Which ringing telephone turns the call away.")
class SimulateRejectInput:
    call_id: ID = strawberry.field(description="The call, which rings.")
    reason: Rejection = strawberry.field(description="How it is turned away.")


@strawberry.input(description="Which telephone is hung up.")
class SimulateHangupInput:
    call_id: ID = strawberry.field(description="The call, which is up.")


@strawberry.input(description="What users set on their own telephone, whatever a transfer does.")
class SimulateHoldInput:
    call_id: ID = strawberry.field(description="The call, which is up.")
    is_on_hold: bool = strawberry.field(description="True puts the call on hold, false takes it off.")
    mute_direction: MuteDirection = strawberry.field(
        default=MuteDirection.NONE, description="Which way the sound is cut."
    )
