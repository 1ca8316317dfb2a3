"""The types that link to each other: transfers, their events, calls, groupcalls, conferences, and pages of them.

Each is made from the domain's value in one place, `of`. Plain fields are attributes; links are read by the loaders.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Self, TypeVar

import strawberry
from strawberry import ID, UNSET

from app.api.addresses import Address
from app.api.context import Info
from app.api.enums import COMMANDS, CallChangeKind, TransferCommand
from app.api.fields import resolved
from app.api.loaders import Found
from app.api.metering.price import PAGED, list_of, text_of
from app.api.paging import After, Before, Connection, Cursors, First, Last, event_cursors, window
from app.api.parts import MetadataEntry, TransferActor
from app.api.refusals import require
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
from app.storage.lists import Page

T = TypeVar("T")
V = TypeVar("V")


def linked(of: Callable[[V], T], value: V | None) -> T | None:
    return None if value is None else of(value)


def optional_id(value: str | None) -> ID | None:
    return None if value is None else ID(value)


@strawberry.interface(
    description="Anything that has an id of its own and can be looked up by it. Some fields have one name and several "
    "types, such as `Transfer.status` and `Call.status`: give them aliases to select both in one place, as in "
    "`... on Transfer { transferStatus: status } ... on Call { callStatus: status }`."
)
class Node:
    id: ID = strawberry.field(description="A UUID: stable, and unique across all types.")


@strawberry.type(
    description="The passing on of a call: a party that is on a call (the transferer) has another one (the "
    "destination) called, and the others on the call (the held parties) are moved there. This record is its state now, "
    "and stays as history when it has ended."
)
class Transfer(Node):
    customer_id: ID = strawberry.field(description="The UUID of the customer (the tenant) that it belongs to.")
    type: Type = strawberry.field(description="With or without consultation.")
    transferer_call_id: ID = strawberry.field(description="The call of the transferer: who passes the call on.")
    transferee_addresses: list[Address] = strawberry.field(
        description="Whom to call, 1 to 10, as normalised. `transferee` is VoIPbin's word for the destination, which "
        "the standards (RFC 5589) call the transfer target; their `transferee` is the held party here.",
        metadata=list_of(MOST_ADDRESSES),
    )
    transferee_call_id: ID | None = strawberry.field(
        description="The call of the destination; set when one has answered, and never before. `transferee` is "
        "VoIPbin's word for the destination, the standards' transfer target."
    )
    groupcall_id: ID | None = strawberry.field(description="The dialling of the destinations, as one resource.")
    confbridge_id: ID = strawberry.field(description="The bridge that the call is in: where its parties hear another.")
    tm_create: datetime = strawberry.field(description="When it was started.")
    tm_update: datetime = strawberry.field(description="When it last changed.")
    tm_delete: datetime = strawberry.field(
        description="When it was deleted; `9999-01-01T00:00:00.000000Z` while it is not: see `isDeleted`."
    )
    held_call_ids: list[ID] = strawberry.field(description="The calls of the held parties: those who are moved.")
    status: Status = strawberry.field(description="Where it stands.")
    outcome: Outcome | None = strawberry.field(description="How it ends; set from the status `ENDING` on.")
    outcome_reason: Reason | None = strawberry.field(
        description="Why it was not completed; null when it was. While `RECALLING` it says why the destination was not "
        "reached."
    )
    disposition: Disposition | None = strawberry.field(
        description="What became of the held parties; set when the outcome is `FAILED`."
    )
    ended_by: Party | None = strawberry.field(description="Whose doing the outcome is; set with `outcome`.")
    speaking_to: SpeakingTo = strawberry.field(
        description="Whom the transferer speaks with, as decided. The event of kind `SPEAKING_TO` tells the decision. "
        "`isOnHold` and `muteDirection` of the calls follow when the telephone exchange confirms it: follow them with "
        "`callChanged(filter: {confbridgeId: …})`."
    )
    is_live: bool = strawberry.field(description="Whether its status can still change.")
    is_deleted: bool = strawberry.field(
        description="Whether it was deleted. A deleted one is still found by its id and by links, but not in lists."
    )
    ring_method: RingMethod = strawberry.field(description="How several destinations are rung.")
    ring_timeout: int = strawberry.field(
        description="Seconds that destinations may ring: all together, or with `LINEAR` each of them. 1 to 600."
    )
    consult_timeout: int | None = strawberry.field(
        description="Seconds that a consultation may last, 1 to 600; null: as long as it likes."
    )
    on_failure: FailurePolicy = strawberry.field(
        description="What becomes of the held parties when the transferer has left and the destination is not reached."
    )
    recall_attempts: int = strawberry.field(description="How often the transferer has been rung back so far.")
    attempts: list["DialAttempt"] = strawberry.field(
        description="The destinations dialled so far, in that order.", metadata=list_of(MOST_ADDRESSES)
    )
    note: str | None = strawberry.field(
        description="A briefing for the destination; at most 2,000 characters.", metadata=text_of(MOST_NOTE_CHARACTERS)
    )
    metadata: list[MetadataEntry] = strawberry.field(
        description="What clients keep with it; at most 20 entries.", metadata=list_of(MOST_METADATA_ENTRIES)
    )
    started_by: str | None = strawberry.field(description="The subject of the token that started it.")
    version: int = strawberry.field(
        description="Counts its changes, from 1. Of two answers the one with the higher version is the newer."
    )
    tm_ringing: datetime | None = strawberry.field(description="When a destination first rang.")
    tm_answer: datetime | None = strawberry.field(description="When a destination answered.")
    tm_end: datetime | None = strawberry.field(description="When its status became final.")
    tm_deadline: datetime | None = strawberry.field(
        description="When the timer that runs now will fire: of the start, the ringing, the consultation or the "
        "recall. Null: none runs. Count down with `Viewer.now`."
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
            ended_by=t.ended_by if t.outcome else None,  # while recalling it is only remembered
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

    @resolved("The call of the transferer. Needs `CALLS_READ`.")
    async def transferer_call(self, info: Info) -> "Call | None":
        return linked(Call.of, await info.context.loaders.call(self.transferer_call_id))

    @resolved(
        "The call of the destination that answered. `transferee` is VoIPbin's word for the destination, "
        "the standards' transfer target. Needs `CALLS_READ`."
    )
    async def transferee_call(self, info: Info) -> "Call | None":
        return linked(Call.of, await info.context.loaders.call(self.transferee_call_id))

    @resolved("The calls of the held parties: those who are moved. Needs `CALLS_READ`.", metadata=list_of(MOST_PARTIES))
    async def held_calls(self, info: Info) -> list["Call"] | None:
        return [Call.of(call) for call in await info.context.loaders.calls(self.held_call_ids)]

    @resolved("The dialling of the destinations, as one resource. Needs `CALLS_READ`.")
    async def groupcall(self, info: Info) -> "Groupcall | None":
        return linked(Groupcall.of, await info.context.loaders.groupcall(self.record.groupcall_id))

    @resolved("The bridge that `confbridgeId` names. Needs `CALLS_READ`.")
    async def conference(self, info: Info) -> "Conference | None":
        return linked(Conference.of, await info.context.loaders.conference(self.confbridge_id))

    @resolved("The transfer whose destination was the transferer's call. Null when there was none.")
    async def previous_transfer(self, info: Info) -> "Transfer | None":
        return linked(Transfer.of, await info.context.loaders.transfer(self.record.previous_transfer_id))

    @resolved("What it can be told to do now. Anything else is refused with `ILLEGAL_TRANSITION`.")
    def allowed_commands(self) -> list[TransferCommand]:
        return list(dict.fromkeys(COMMANDS[trigger] for trigger in allowed_commands(self.record)))

    @resolved("Its history: one event for each version, oldest first.", metadata=PAGED)
    async def events(
        self, info: Info, first: First = UNSET, after: After = UNSET, last: Last = UNSET, before: Before = UNSET
    ) -> "Connection[TransferEvent] | None":
        asked = window(event_cursors(self.customer_id).event_key, first, after, last, before)
        page, total = await info.context.loaders.events_of_transfer(self.id, asked)
        return event_connection(page, total)


@strawberry.type(description="The dialling of one destination.")
class DialAttempt:
    address: Address = strawberry.field(description="Who was dialled.")
    call_id: ID | None = strawberry.field(description="The call to the destination (its leg).")
    outcome: DialOutcome = strawberry.field(description="What came of it.")
    hangup_reason: CallHangupReason | None = strawberry.field(
        description="Why its call ended, as the telephone exchange says; null when it did not end by itself."
    )
    tm_start: datetime | None = strawberry.field(description="When dialling began.")
    tm_end: datetime | None = strawberry.field(description="When its outcome was settled; null while it is open.")

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

    @resolved("The call to the destination (its leg); null until the exchange has told of it. Needs `CALLS_READ`.")
    async def call(self, info: Info) -> "Call | None":
        return linked(Call.of, await info.context.loaders.call(self.call_id))


@strawberry.type(
    description="One step in a transfer's life. History stands flat here; `transfer` is the present one, read at "
    "delivery, its version at least this one's."
)
class TransferEvent:
    id: ID = strawberry.field(description="A UUID: tells this event from all others, however often it is delivered.")
    cursor: str = strawberry.field(
        description="Its place in the log of the customer: give it back as `after`, to `Transfer.events` or to the "
        "subscription `transferEvents`, to go on behind it."
    )
    kind: EventKind = strawberry.field(description="What has changed.")
    transfer_id: ID = strawberry.field(description="The transfer that it tells of.")
    version: int = strawberry.field(description="The version of the transfer that it made; gapless, from 1.")
    previous_status: Status | None = strawberry.field(
        description="The status before; the same as `status` when something else has changed, null for the start."
    )
    status: Status = strawberry.field(description="The status after it.")
    outcome: Outcome | None = strawberry.field(description="How the transfer ends, as far as decided by then.")
    outcome_reason: Reason | None = strawberry.field(description="Why it is not completed, as far as known by then.")
    speaking_to: SpeakingTo = strawberry.field(
        description="Whom the transferer spoke with after it, as decided. The calls follow when the telephone exchange "
        "confirms it: see `Transfer.speakingTo`."
    )
    transferee_call_id: ID | None = strawberry.field(
        description="The call of the destination, if one had answered. `transferee` is VoIPbin's word for the "
        "destination, the standards' transfer target."
    )
    actor: TransferActor | None = strawberry.field(description="Who brought it about.")
    occurred_at: datetime = strawberry.field(description="When it was recorded.")

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

    @resolved("The transfer as it is now: its version is this event's or a later one.")
    async def transfer(self, info: Info) -> Transfer:
        found = await info.context.loaders.transfer(self.transfer_id)
        if found is None:
            raise LookupError(f"An event without a transfer: {self.id}")
        return Transfer.of(found)


@strawberry.type(
    description="One party's connection to the telephone exchange. Two people who talk are two calls in one bridge."
)
class Call(Node):
    customer_id: ID = strawberry.field(description="The UUID of the customer (the tenant) that it belongs to.")
    external_id: str | None = strawberry.field(description="The exchange's own id, where it isn't this one.")
    owner_id: ID | None = strawberry.field(description="The UUID of the agent whose call it is, if it is an agent's.")
    status: CallStatus = strawberry.field(description="Where it stands.")
    direction: CallDirection = strawberry.field(description="Who called whom.")
    source: Address = strawberry.field(description="Who called.")
    destination: Address = strawberry.field(description="Who was called.")
    mute_direction: MuteDirection = strawberry.field(
        description="Which way the party's sound is cut, as the telephone exchange has confirmed it: see `isOnHold`."
    )
    is_on_hold: bool = strawberry.field(
        description="Whether the party waits on hold, usually with music, as the telephone exchange has confirmed it. "
        "Right after an event of a transfer this may still be the old value. `callChanged` tells the new one; the "
        "transfer has no further event for it."
    )
    hangup_by: CallHangupBy | None = strawberry.field(description="Which side ended it; null while it is up.")
    hangup_reason: CallHangupReason | None = strawberry.field(description="Why it ended; null while it is up.")
    groupcall_id: ID | None = strawberry.field(description="The groupcall that dialled it, if one did.")
    confbridge_id: ID | None = strawberry.field(
        description="The bridge that it belongs to, unchanged while the party is on hold; null: it is connected to "
        "nobody."
    )
    version: int = strawberry.field(
        description="Counts its changes, from 1. Of two answers the one with the higher version is the newer."
    )
    tm_ringing: datetime | None = strawberry.field(description="When it first rang.")
    tm_progressing: datetime | None = strawberry.field(description="When it was answered.")
    tm_hangup: datetime | None = strawberry.field(description="When it ended.")
    tm_create: datetime = strawberry.field(description="When it began.")
    tm_update: datetime = strawberry.field(
        description="When the telephone exchange last changed it. A change of `transfer` alone moves `version` only."
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

    @resolved("The groupcall that dialled it, if one did. Needs `CALLS_READ`.")
    async def groupcall(self, info: Info) -> "Groupcall | None":
        return linked(Groupcall.of, await info.context.loaders.groupcall(self.groupcall_id))

    @resolved("The bridge that it belongs to. Needs `CALLS_READ`.")
    async def conference(self, info: Info) -> "Conference | None":
        return linked(Conference.of, await info.context.loaders.conference(self.confbridge_id))

    @resolved(
        "The live transfer that it has a part in, if one is under way: any part, also that of a destination that still "
        "rings. When this becomes another transfer, or null, the call has a new `version`, and `callChanged` tells it. "
        "What changes within the transfer is told by `transferChanged`. Needs `TRANSFERS_READ`."
    )
    async def transfer(self, info: Info) -> Transfer | None:
        found = await info.context.loaders.live_transfer(self.id)
        return Transfer.of(found[0]) if found else None

    @resolved("Its part in `transfer`; null when there is none. It changes with `transfer`. Needs `TRANSFERS_READ`.")
    async def transfer_role(self, info: Info) -> Party | None:
        found = await info.context.loaders.live_transfer(self.id)
        return found[1] if found else None

    @resolved(
        "All transfers in which it has or had a part, newest first; without deleted ones. Needs `TRANSFERS_READ`.",
        metadata=PAGED,
    )
    async def transfers(self, info: Info, first: First = UNSET, after: After = UNSET) -> "TransferConnection | None":
        require(info.context.viewer, Permission.TRANSFERS_READ)  # before anything is said about the arguments
        loaders = info.context.loaders
        cursors = Cursors.of("transfers of call", self.id, self.customer_id)
        page, seq = await loaders.transfers_of_call(self.id, window(cursors.member_key, first, after))
        event_cursor = event_cursors(self.customer_id).encode(seq)
        return transfer_connection(page, cursors, event_cursor, partial(loaders.count_transfers_of_call, self.id))


@strawberry.type(description="The dialling of a transfer's destinations, as one resource.")
class Groupcall(Node):
    customer_id: ID = strawberry.field(description="The UUID of the customer (the tenant) that it belongs to.")
    external_id: str | None = strawberry.field(description="The exchange's own id, where it isn't this one.")
    status: GroupcallStatus = strawberry.field(description="Where it stands.")
    source: Address = strawberry.field(description="Who calls, as the destinations see it.")
    destinations: list[Address] = strawberry.field(description="Whom it calls.", metadata=list_of(MOST_ADDRESSES))
    ring_method: RingMethod = strawberry.field(description="How several destinations are rung.")
    answer_call_id: ID | None = strawberry.field(description="The call of the destination that answered.")
    call_ids: list[ID] = strawberry.field(description="The calls dialled so far, in that order.")
    version: int = strawberry.field(
        description="Counts its changes, from 1. Of two answers the one with the higher version is the newer."
    )
    tm_create: datetime = strawberry.field(description="When it began.")
    tm_update: datetime = strawberry.field(description="When it last changed.")

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
        "The calls dialled so far, in that order; without those that the exchange has not told of yet. "
        "Needs `CALLS_READ`.",
        metadata=list_of(MOST_ADDRESSES),
    )
    async def calls(self, info: Info) -> list[Call] | None:
        return [Call.of(call) for call in await info.context.loaders.calls(self.call_ids)]

    @resolved("The transfer that it dials for. Needs `TRANSFERS_READ`.")
    async def transfer(self, info: Info) -> Transfer | None:
        return linked(Transfer.of, await info.context.loaders.transfer_of_groupcall(self.id))


@strawberry.type(description="A bridge: the place in the telephone exchange where calls hear each other.")
class Conference(Node):
    customer_id: ID = strawberry.field(description="The UUID of the customer (the tenant) that it belongs to.")
    external_id: str | None = strawberry.field(description="The exchange's own id, where it isn't this one.")
    type: ConferenceType = strawberry.field(description="By which rule it ends.")
    status: ConferenceStatus = strawberry.field(description="Where it stands.")
    name: str = strawberry.field(description="Its name; empty when it has none.")
    version: int = strawberry.field(
        description="Counts its changes, from 1. Of two answers the one with the higher version is the newer."
    )
    tm_create: datetime = strawberry.field(description="When it was set up.")
    tm_update: datetime = strawberry.field(description="When it last changed.")
    tm_end: datetime | None = strawberry.field(description="When it ended.")

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

    @resolved("Who is in it now, oldest first, at most 100. Needs `CALLS_READ`.", metadata=list_of(MOST_PARTIES))
    async def calls(self, info: Info) -> list[Call] | None:
        return [Call.of(call) for call in await info.context.loaders.calls_in_conference(self.id)]


@strawberry.type(description="A page of a list of transfers.")
class TransferConnection(Connection[Transfer]):
    event_cursor: str = strawberry.field(
        description="A place in the log of events, read no later than this page: subscribe to `transferEvents` after "
        "it, and nothing that happens since is missed."
    )


@strawberry.type(description="What a subscriber to calls is told.")
class CallChange:
    kind: CallChangeKind = strawberry.field(description="What it is about the call.")
    call: Call | None = strawberry.field(description="The call as it is now; null for `READY`.")


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
