"""The types that link to each other: transfers, their events, calls, groupcalls, conferences, and pages of them.

The classmethod `of` makes each of them from the domain's object. Plain fields are attributes. Links are read by the
loaders.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Self, TypeVar

import strawberry
from strawberry import ID, UNSET

from app.api.context import Info
from app.api.enums import COMMANDS, CallChangeKind, TransferCommand
from app.api.errors import require
from app.api.fields import resolved
from app.api.loaders import Found
from app.api.metering.price import PAGED, list_of, text_of
from app.api.paging import After, Before, Connection, Cursors, First, Last, event_cursors, window
from app.api.values import Address, MetadataEntry, TransferActor
from app.domain import calls as telephony
from app.domain.calls import (
    CallDirection,
    CallHangupBy,
    CallHangupReason,
    CallStatus,
    ConferenceStatus,
    ConferenceType,
    GroupcallStatus,
    MuteDirection,
    RingMethod,
)
from app.domain.events import Event, EventKind
from app.domain.life import allowed_commands
from app.domain.start import MOST_ADDRESSES, MOST_METADATA_ENTRIES, MOST_NOTE_CHARACTERS
from app.domain.transfer import (
    Attempt,
    DialOutcome,
    Disposition,
    FailurePolicy,
    Outcome,
    Party,
    Reason,
    SpeakingTo,
    Status,
    Type,
)
from app.domain.transfer import Transfer as Record
from app.domain.viewer import Permission
from app.storage.calls import MOST_PARTIES
from app.storage.pages import Page

T = TypeVar("T")
V = TypeVar("V")


def linked(of: Callable[[V], T], value: V | None) -> T | None:
    return None if value is None else of(value)


def optional_id(value: str | None) -> ID | None:
    return None if value is None else ID(value)


@strawberry.interface(
    description="An object with an id. Some fields of the implementing types have the same name and different "
    "types, such as `Transfer.status` and `Call.status`. Give them aliases to select both: `... on "
    "Transfer { transferStatus: status } ... on Call { callStatus: status }`."
)
class Node:
    id: ID = strawberry.field(description="A UUID. It never changes and is unique across all types.")


@strawberry.type(
    description="A call transfer: the transferer, who is on a call, hands the other parties of the call (the held "
    "parties) over to a destination. The record shows the present state. It is kept after the "
    "transfer has ended."
)
class Transfer(Node):
    customer_id: ID = strawberry.field(description="The UUID of the customer (the tenant).")
    type: Type = strawberry.field(description="Whether the transferer consults the destination first.")
    transferer_call_id: ID = strawberry.field(
        description="The id of the transferer's call. RFC 5589 calls the transferer the transferor."
    )
    transferee_addresses: list[Address] = strawberry.field(
        description="The destinations to dial, 1 to 10, normalised. `transferee` is VoIPbin's word for the "
        "destination. RFC 5589 calls the destination the transfer target, and the held party the "
        "transferee.",
        metadata=list_of(MOST_ADDRESSES),
    )
    transferee_call_id: ID | None = strawberry.field(
        description="The id of the call of the destination that answered. Null until then. `transferee` is VoIPbin's "
        "word for the destination (RFC 5589: transfer target)."
    )
    groupcall_id: ID | None = strawberry.field(description="The id of the groupcall that dials the destinations.")
    confbridge_id: ID = strawberry.field(description="The id of the bridge that connects the parties of the call.")
    tm_create: datetime = strawberry.field(description="When the transfer was started.")
    tm_update: datetime = strawberry.field(description="When the transfer last changed.")
    tm_delete: datetime = strawberry.field(
        description="When the transfer was deleted. `9999-01-01T00:00:00.000000Z` if it is not deleted: see "
        "`isDeleted`."
    )
    held_call_ids: list[ID] = strawberry.field(
        description="The ids of the held parties' calls. RFC 5589 calls a held party the transferee."
    )
    status: Status = strawberry.field(description="The present status of the transfer.")
    outcome: Outcome | None = strawberry.field(description="How the transfer ends. Set from the status `ENDING` on.")
    outcome_reason: Reason | None = strawberry.field(
        description="Why the transfer was not completed. Null if it was. While `RECALLING` it says why the "
        "destination was not reached."
    )
    disposition: Disposition | None = strawberry.field(
        description="What became of the held parties. Set if the outcome is `FAILED`."
    )
    ended_by: Party | None = strawberry.field(description="Who caused the outcome. Set together with `outcome`.")
    speaking_to: SpeakingTo = strawberry.field(
        description="Whom the transferer speaks with, as decided. An event of kind `SPEAKING_TO` announces the "
        "decision. `Call.isOnHold` and `Call.muteDirection` change when the telephone exchange has "
        "confirmed it: follow them with `callChanged(filter: {confbridgeId: …})`."
    )
    is_live: bool = strawberry.field(description="Whether the status can still change.")
    is_deleted: bool = strawberry.field(
        description="Whether the transfer was deleted. A deleted transfer is found by its id and by links, but is not"
        " listed."
    )
    ring_method: RingMethod = strawberry.field(description="How several destinations are rung.")
    ring_timeout: int = strawberry.field(
        description="Seconds that the destinations may ring: all together, or each of them if `ringMethod` is "
        "`LINEAR`. 1 to 600."
    )
    consult_timeout: int | None = strawberry.field(
        description="Seconds that the consultation may last, 1 to 600. Null if there is no limit."
    )
    on_failure: FailurePolicy = strawberry.field(
        description="What happens to the held parties if the transferer has left and no destination answers."
    )
    recall_attempts: int = strawberry.field(description="How often the transferer has been rung back so far.")
    attempts: list["DialAttempt"] = strawberry.field(
        description="The attempts to dial a destination so far, oldest first.", metadata=list_of(MOST_ADDRESSES)
    )
    note: str | None = strawberry.field(
        description="A briefing for the destination, at most 2,000 characters.", metadata=text_of(MOST_NOTE_CHARACTERS)
    )
    metadata: list[MetadataEntry] = strawberry.field(
        description="Keys and values that clients store with the transfer, at most 20 entries.",
        metadata=list_of(MOST_METADATA_ENTRIES),
    )
    started_by: str | None = strawberry.field(description="The subject of the token that started the transfer.")
    version: int = strawberry.field(
        description="The version: 1 at first, and 1 more after each change. Of two responses, the one with the higher "
        "version is newer."
    )
    tm_ringing: datetime | None = strawberry.field(description="When a destination first rang. Null if none has rung.")
    tm_answer: datetime | None = strawberry.field(description="When a destination answered. Null if none has.")
    tm_end: datetime | None = strawberry.field(
        description="When the status became final. Null while the transfer is live."
    )
    tm_deadline: datetime | None = strawberry.field(
        description="When the running timer ends: the timer of the start, the ringing, the consultation or the "
        "recall. Null if no timer runs. Use `Viewer.now` as the present time for a countdown."
    )
    record: strawberry.Private[Record]

    @classmethod
    def of(cls, t: Record) -> Self:
        return cls(
            id=ID(t.id),
            customer_id=ID(t.customer_id),
            type=t.type,
            transferer_call_id=ID(t.transferer_call_id),
            transferee_addresses=[Address.of(address) for address in t.transferee_addresses],
            transferee_call_id=optional_id(t.transferee_call_id),
            groupcall_id=ID(t.groupcall_id),
            confbridge_id=ID(t.confbridge_id),
            tm_create=t.tm_create,
            tm_update=t.tm_update,
            tm_delete=t.tm_delete,
            held_call_ids=[ID(party.call_id) for party in t.held],
            status=t.status,
            outcome=t.outcome,
            outcome_reason=t.outcome_reason,
            disposition=t.disposition,
            ended_by=t.ended_by if t.outcome else None,  # set while recalling, but published only with the outcome
            speaking_to=t.speaking_to,
            is_live=t.is_live,
            is_deleted=t.is_deleted,
            ring_method=t.ring_method,
            ring_timeout=t.ring_timeout,
            consult_timeout=t.consult_timeout,
            on_failure=t.on_failure,
            recall_attempts=t.recall_attempts,
            attempts=[DialAttempt.of(attempt) for attempt in t.attempts],
            note=t.note,
            metadata=[MetadataEntry(key=key, value=value) for key, value in t.metadata.items()],
            started_by=t.started_by,
            version=t.version,
            tm_ringing=t.tm_ringing,
            tm_answer=t.tm_answer,
            tm_end=t.tm_end,
            tm_deadline=t.tm_deadline,
            record=t,
        )

    @resolved("The transferer's call. Needs `CALLS_READ`.")
    async def transferer_call(self, info: Info) -> "Call | None":
        return linked(Call.of, await info.context.loaders.call(self.transferer_call_id))

    @resolved(
        "The call of the destination that answered. `transferee` is VoIPbin's word for the destination "
        "(RFC 5589: transfer target). Needs `CALLS_READ`."
    )
    async def transferee_call(self, info: Info) -> "Call | None":
        return linked(Call.of, await info.context.loaders.call(self.transferee_call_id))

    @resolved("The held parties' calls. Needs `CALLS_READ`.", metadata=list_of(MOST_PARTIES))
    async def held_calls(self, info: Info) -> list["Call"] | None:
        return [Call.of(call) for call in await info.context.loaders.calls(self.held_call_ids)]

    @resolved("The groupcall that dials the destinations. Needs `CALLS_READ`.")
    async def groupcall(self, info: Info) -> "Groupcall | None":
        return linked(Groupcall.of, await info.context.loaders.groupcall(self.record.groupcall_id))

    @resolved("The bridge that connects the parties of the call. Needs `CALLS_READ`.")
    async def conference(self, info: Info) -> "Conference | None":
        return linked(Conference.of, await info.context.loaders.conference(self.confbridge_id))

    @resolved(
        "The earlier transfer that brought the transferer to this call as its destination. Null if there is none."
    )
    async def previous_transfer(self, info: Info) -> "Transfer | None":
        return linked(Transfer.of, await info.context.loaders.transfer(self.record.previous_transfer_id))

    @resolved("The commands that are allowed now. Others are refused with `ILLEGAL_TRANSITION`.")
    def allowed_commands(self) -> list[TransferCommand]:
        return list(dict.fromkeys(COMMANDS[trigger] for trigger in allowed_commands(self.record)))

    @resolved("The history: one event for each version, oldest first.", metadata=PAGED)
    async def events(
        self, info: Info, first: First = UNSET, after: After = UNSET, last: Last = UNSET, before: Before = UNSET
    ) -> "Connection[TransferEvent] | None":
        asked = window(event_cursors(self.customer_id).event_key, first, after, last, before)
        page, total = await info.context.loaders.events_of_transfer(self.id, asked)
        return event_connection(page, total)


@strawberry.type(description="One attempt to dial a destination.")
class DialAttempt:
    address: Address = strawberry.field(description="The destination's address.")
    call_id: ID | None = strawberry.field(description="The id of the call to the destination (the leg).")
    outcome: DialOutcome = strawberry.field(description="The result of the attempt.")
    hangup_reason: CallHangupReason | None = strawberry.field(
        description="Why the call ended, as the telephone exchange reports it. Null if the call has not ended, or if "
        "the transfer ended it."
    )
    tm_start: datetime | None = strawberry.field(description="When dialling began.")
    tm_end: datetime | None = strawberry.field(description="When the result was known. Null until then.")

    @classmethod
    def of(cls, attempt: Attempt) -> Self:
        return cls(
            address=Address.of(attempt.address),
            call_id=ID(attempt.call_id),
            outcome=attempt.outcome,
            hangup_reason=attempt.hangup_reason,
            tm_start=attempt.tm_start,
            tm_end=attempt.tm_end,
        )

    @resolved(
        "The call to the destination (the leg). Null until the telephone exchange has reported it. Needs `CALLS_READ`."
    )
    async def call(self, info: Info) -> "Call | None":
        return linked(Call.of, await info.context.loaders.call(self.call_id))


@strawberry.type(
    description="One change of a transfer. The fields show the transfer after this change. `transfer` shows it at"
    " the time of delivery: its version is this one or a later one."
)
class TransferEvent:
    id: ID = strawberry.field(description="A UUID, the same for every delivery of the event.")
    cursor: str = strawberry.field(
        description="The position in the customer's event log. Pass it as `after` to `Transfer.events` or "
        "`transferEvents` to continue after this event."
    )
    kind: EventKind = strawberry.field(description="What changed.")
    transfer_id: ID = strawberry.field(description="The id of the transfer.")
    version: int = strawberry.field(
        description="The version of the transfer after the change. Versions have no gaps and begin with 1."
    )
    previous_status: Status | None = strawberry.field(
        description="The status before the change. Equal to `status` if something else changed. Null for the start."
    )
    status: Status = strawberry.field(description="The status after the change.")
    outcome: Outcome | None = strawberry.field(description="How the transfer ends. Null if that was not decided yet.")
    outcome_reason: Reason | None = strawberry.field(
        description="Why the transfer is not completed. Null if that was not known yet."
    )
    speaking_to: SpeakingTo = strawberry.field(
        description="Whom the transferer speaks with after the change, as decided. The calls change when the "
        "telephone exchange has confirmed it: see `Transfer.speakingTo`."
    )
    transferee_call_id: ID | None = strawberry.field(
        description="The id of the call of the destination that had answered. Null if none had. `transferee` is "
        "VoIPbin's word for the destination (RFC 5589: transfer target)."
    )
    actor: TransferActor | None = strawberry.field(description="Who made the change.")
    occurred_at: datetime = strawberry.field(description="When the change was recorded.")

    @classmethod
    def of(cls, event: Event) -> Self:
        return cls(
            id=ID(event.id),
            cursor=event_cursors(event.customer_id).encode(event.seq),
            kind=event.kind,
            transfer_id=ID(event.transfer_id),
            version=event.version,
            previous_status=event.previous_status,
            status=event.status,
            outcome=event.outcome,
            outcome_reason=event.outcome_reason,
            speaking_to=event.speaking_to,
            transferee_call_id=optional_id(event.transferee_call_id),
            actor=TransferActor(party=event.actor_party, subject=event.actor_subject),
            occurred_at=event.occurred_at,
        )

    @resolved("The transfer at the time of delivery. Its version is this event's or a later one.")
    async def transfer(self, info: Info) -> Transfer:
        found = await info.context.loaders.transfer(self.transfer_id)
        if found is None:
            raise LookupError(f"An event without a transfer: {self.id}")
        return Transfer.of(found)


@strawberry.type(
    description="One party's connection to the telephone exchange. Two people who talk are two calls in one "
    "bridge. Most fields and values are VoIPbin's."
)
class Call(Node):
    customer_id: ID = strawberry.field(description="The UUID of the customer (the tenant).")
    external_id: str | None = strawberry.field(
        description="The id that the telephone exchange uses. Null if it is the same as `id`."
    )
    owner_id: ID | None = strawberry.field(
        description="The UUID of the agent whose call it is. Null if it is not an agent's call."
    )
    status: CallStatus = strawberry.field(description="The present status of the call.")
    direction: CallDirection = strawberry.field(description="Who called whom.")
    source: Address = strawberry.field(description="The calling party.")
    destination: Address = strawberry.field(description="The called party.")
    mute_direction: MuteDirection = strawberry.field(
        description="The direction in which the party is muted, as the telephone exchange has confirmed it: see "
        "`isOnHold`."
    )
    is_on_hold: bool = strawberry.field(
        description="Whether the party is on hold, as the telephone exchange has confirmed it. Right after an event "
        "of a transfer this may still be the old value. `callChanged` sends the new value. The transfer "
        "has no further event for it."
    )
    hangup_by: CallHangupBy | None = strawberry.field(
        description="The side that ended the call. Null while the call is up."
    )
    hangup_reason: CallHangupReason | None = strawberry.field(
        description="Why the call ended. Null while the call is up."
    )
    groupcall_id: ID | None = strawberry.field(
        description="The id of the groupcall that dialled the call. Null if none did."
    )
    confbridge_id: ID | None = strawberry.field(
        description="The id of the bridge that the call is in. It stays the same while the party is on hold. Null if "
        "the call is connected to nobody."
    )
    version: int = strawberry.field(
        description="The version: 1 at first, and 1 more after each change. Of two responses, the one with the higher "
        "version is newer."
    )
    tm_ringing: datetime | None = strawberry.field(description="When the call first rang. Null if it has not rung.")
    tm_progressing: datetime | None = strawberry.field(description="When the call was answered. Null if it was not.")
    tm_hangup: datetime | None = strawberry.field(description="When the call ended. Null while the call is up.")
    tm_create: datetime = strawberry.field(description="When the call began.")
    tm_update: datetime = strawberry.field(
        description="When the telephone exchange last changed the call. A change of `transfer` alone changes "
        "`version`, but not this."
    )

    @classmethod
    def of(cls, call: telephony.Call) -> Self:
        return cls(
            id=ID(call.id),
            customer_id=ID(call.customer_id),
            external_id=call.external_id,
            owner_id=optional_id(call.owner_id),
            status=call.status,
            direction=call.direction,
            source=Address.of(call.source),
            destination=Address.of(call.destination),
            mute_direction=call.mute_direction,
            is_on_hold=call.is_on_hold,
            hangup_by=call.hangup_by,
            hangup_reason=call.hangup_reason,
            groupcall_id=optional_id(call.groupcall_id),
            confbridge_id=optional_id(call.confbridge_id),
            version=call.version,
            tm_ringing=call.tm_ringing,
            tm_progressing=call.tm_progressing,
            tm_hangup=call.tm_hangup,
            tm_create=call.tm_create,
            tm_update=call.tm_update,
        )

    @resolved("The groupcall that dialled the call. Null if none did. Needs `CALLS_READ`.")
    async def groupcall(self, info: Info) -> "Groupcall | None":
        return linked(Groupcall.of, await info.context.loaders.groupcall(self.groupcall_id))

    @resolved("The bridge that the call is in. Needs `CALLS_READ`.")
    async def conference(self, info: Info) -> "Conference | None":
        return linked(Conference.of, await info.context.loaders.conference(self.confbridge_id))

    @resolved(
        "The live transfer that the call has a part in, also as a destination that still rings. Null if "
        "there is none. When this becomes another transfer or null, the call gets a new `version`, and "
        "`callChanged` sends it. Follow changes within the transfer with `transferChanged`. Needs "
        "`TRANSFERS_READ`."
    )
    async def transfer(self, info: Info) -> Transfer | None:
        found = await info.context.loaders.live_transfer(self.id)
        return Transfer.of(found[0]) if found else None

    @resolved(
        "The part of the call in `transfer`. Null if there is none. It changes together with `transfer`. "
        "Needs `TRANSFERS_READ`."
    )
    async def transfer_role(self, info: Info) -> Party | None:
        found = await info.context.loaders.live_transfer(self.id)
        return found[1] if found else None

    @resolved(
        "The transfers that the call has or had a part in, newest first. Deleted ones are left out. Needs"
        " `TRANSFERS_READ`.",
        metadata=PAGED,
    )
    async def transfers(self, info: Info, first: First = UNSET, after: After = UNSET) -> "TransferConnection | None":
        require(info.context.viewer, Permission.TRANSFERS_READ)  # first: argument errors are for permitted clients
        loaders = info.context.loaders
        cursors = Cursors.of("transfers of call", self.id, self.customer_id)
        page, seq = await loaders.transfers_of_call(self.id, window(cursors.member_key, first, after))
        event_cursor = event_cursors(self.customer_id).encode(seq)
        return transfer_connection(page, cursors, event_cursor, partial(loaders.count_transfers_of_call, self.id))


@strawberry.type(description="The calls that dial a transfer's destinations, as one group. The word is VoIPbin's.")
class Groupcall(Node):
    customer_id: ID = strawberry.field(description="The UUID of the customer (the tenant).")
    external_id: str | None = strawberry.field(
        description="The id that the telephone exchange uses. Null if it is the same as `id`."
    )
    status: GroupcallStatus = strawberry.field(description="The present status of the groupcall.")
    source: Address = strawberry.field(description="The calling party that the destinations see.")
    destinations: list[Address] = strawberry.field(description="The destinations.", metadata=list_of(MOST_ADDRESSES))
    ring_method: RingMethod = strawberry.field(description="How several destinations are rung.")
    answer_call_id: ID | None = strawberry.field(
        description="The id of the call of the destination that answered. Null if none has."
    )
    call_ids: list[ID] = strawberry.field(
        description="The ids of the calls so far, in the order in which they were dialled."
    )
    version: int = strawberry.field(
        description="The version: 1 at first, and 1 more after each change. Of two responses, the one with the higher "
        "version is newer."
    )
    tm_create: datetime = strawberry.field(description="When dialling began.")
    tm_update: datetime = strawberry.field(description="When the groupcall last changed.")

    @classmethod
    def of(cls, groupcall: telephony.Groupcall) -> Self:
        return cls(
            id=ID(groupcall.id),
            customer_id=ID(groupcall.customer_id),
            external_id=groupcall.external_id,
            status=groupcall.status,
            source=Address.of(groupcall.source),
            destinations=[Address.of(address) for address in groupcall.destinations],
            ring_method=groupcall.ring_method,
            answer_call_id=optional_id(groupcall.answer_call_id),
            call_ids=[ID(call_id) for call_id in groupcall.call_ids],
            version=groupcall.version,
            tm_create=groupcall.tm_create,
            tm_update=groupcall.tm_update,
        )

    @resolved("The call of the destination that answered. Needs `CALLS_READ`.")
    async def answer_call(self, info: Info) -> Call | None:
        return linked(Call.of, await info.context.loaders.call(self.answer_call_id))

    @resolved(
        "The calls so far, in the order in which they were dialled. Calls that the telephone exchange has "
        "not reported yet are left out. Needs `CALLS_READ`.",
        metadata=list_of(MOST_ADDRESSES),
    )
    async def calls(self, info: Info) -> list[Call] | None:
        return [Call.of(call) for call in await info.context.loaders.calls(self.call_ids)]

    @resolved("The transfer whose destinations are dialled. Needs `TRANSFERS_READ`.")
    async def transfer(self, info: Info) -> Transfer | None:
        return linked(Transfer.of, await info.context.loaders.transfer_of_groupcall(self.id))


@strawberry.type(
    description="A bridge: it connects calls, so that their parties hear each other. Fields named `confbridgeId` "
    "have its id: VoIPbin calls it a conference bridge."
)
class Conference(Node):
    customer_id: ID = strawberry.field(description="The UUID of the customer (the tenant).")
    external_id: str | None = strawberry.field(
        description="The id that the telephone exchange uses. Null if it is the same as `id`."
    )
    type: ConferenceType = strawberry.field(description="The rule by which the bridge ends.")
    status: ConferenceStatus = strawberry.field(description="The present status of the bridge.")
    name: str = strawberry.field(description="The name. Empty if the bridge has none.")
    version: int = strawberry.field(
        description="The version: 1 at first, and 1 more after each change. Of two responses, the one with the higher "
        "version is newer."
    )
    tm_create: datetime = strawberry.field(description="When the bridge was set up.")
    tm_update: datetime = strawberry.field(description="When the bridge last changed.")
    tm_end: datetime | None = strawberry.field(description="When the bridge ended. Null until then.")

    @classmethod
    def of(cls, conference: telephony.Conference) -> Self:
        return cls(
            id=ID(conference.id),
            customer_id=ID(conference.customer_id),
            external_id=conference.external_id,
            type=conference.type,
            status=conference.status,
            name=conference.name,
            version=conference.version,
            tm_create=conference.tm_create,
            tm_update=conference.tm_update,
            tm_end=conference.tm_end,
        )

    @resolved(
        "The calls that are in the bridge now, oldest first, at most 100. Needs `CALLS_READ`.",
        metadata=list_of(MOST_PARTIES),
    )
    async def calls(self, info: Info) -> list[Call] | None:
        return [Call.of(call) for call in await info.context.loaders.calls_in_conference(self.id)]


@strawberry.type(description="A page of a list of transfers.")
class TransferConnection(Connection[Transfer]):
    event_cursor: str = strawberry.field(
        description="A position in the event log that is not later than this page. Pass it as `after` to "
        "`transferEvents` to miss no event since then."
    )


@strawberry.type(description="A message of `callChanged`.")
class CallChange:
    kind: CallChangeKind = strawberry.field(description="What happened to the call.")
    call: Call | None = strawberry.field(description="The call as it is now. Null for `READY`.")


def transfer_connection(
    page: Page[Record], cursors: Cursors, event_cursor: str, count: Callable[[], Awaitable[int]]
) -> TransferConnection:
    return TransferConnection(
        nodes=[Transfer.of(item) for item in page.items],
        cursors=lambda: [cursors.of_member(item) for item in page.items],
        page=page,
        count=count,
        event_cursor=event_cursor,
    )


def event_connection(page: Page[Event], total: int) -> Connection[TransferEvent]:
    nodes = [TransferEvent.of(event) for event in page.items]

    async def count() -> int:
        return total

    return Connection(nodes=nodes, cursors=lambda: [node.cursor for node in nodes], page=page, count=count)


def node_of(found: Found) -> Node:
    match found:
        case Record():
            return Transfer.of(found)
        case telephony.Call():
            return Call.of(found)
        case telephony.Groupcall():
            return Groupcall.of(found)
        case telephony.Conference():
            return Conference.of(found)
