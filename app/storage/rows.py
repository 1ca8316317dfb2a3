"""Conversion of rows to domain values and back. JSON columns use the field names of the API."""

from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from app.domain.addresses import Address, AddressType
from app.domain.calls import (
    Call,
    CallDirection,
    CallHangupBy,
    CallHangupReason,
    CallStatus,
    Conference,
    ConferenceStatus,
    ConferenceType,
    Groupcall,
    GroupcallStatus,
    MuteDirection,
    RingMethod,
)
from app.domain.events import Event, EventKind
from app.domain.orders import Order, OrderKind
from app.domain.transfer import (
    Attempt,
    DialOutcome,
    Disposition,
    FailurePolicy,
    HeldParty,
    Outcome,
    Party,
    Reason,
    SpeakingTo,
    Status,
    Timer,
    Transfer,
    Type,
)
from app.storage.columns import wire_time

Json = dict[str, Any]


def address_json(address: Address) -> Json:
    return {
        "type": address.type.value,
        "target": address.target,
        "targetName": address.target_name,
        "name": address.name,
        "detail": address.detail,
    }


def address_from(json: Json) -> Address:
    return Address(AddressType(json["type"]), json["target"], json["targetName"], json["name"], json["detail"])


def _time(value: str | None) -> datetime | None:
    return datetime.fromisoformat(value) if value else None


def _wire(value: datetime | None) -> str | None:
    return wire_time(value) if value else None


def _attempt_json(attempt: Attempt) -> Json:
    return {
        "address": address_json(attempt.address),
        "callId": attempt.call_id,
        "outcome": attempt.outcome.value,
        "hangupReason": attempt.hangup_reason and attempt.hangup_reason.value,
        "tmStart": wire_time(attempt.tm_start),
        "tmEnd": _wire(attempt.tm_end),
    }


def _attempt_from(json: Json) -> Attempt:
    reason = json["hangupReason"]
    return Attempt(
        address_from(json["address"]),
        json["callId"],
        datetime.fromisoformat(json["tmStart"]),
        DialOutcome(json["outcome"]),
        CallHangupReason(reason) if reason else None,
        _time(json["tmEnd"]),
    )


def _held_json(party: HeldParty) -> Json:
    return {"callId": party.call_id, "isOnHold": party.is_on_hold, "muteDirection": party.mute_direction.value}


def _held_from(json: Json) -> HeldParty:
    return HeldParty(json["callId"], json["isOnHold"], MuteDirection(json["muteDirection"]))


def transfer_row(t: Transfer) -> Json:
    row = {field.name: getattr(t, field.name) for field in fields(t)}
    return row | {
        "transferer_address": address_json(t.transferer_address),
        "transferee_addresses": [address_json(address) for address in t.transferee_addresses],
        "held": [_held_json(party) for party in t.held],
        "attempts": [_attempt_json(attempt) for attempt in t.attempts],
        "metadata": [{"key": key, "value": value} for key, value in t.metadata.items()],
    }


def transfer_from(row: Any) -> Transfer:
    return Transfer(
        **{
            **row,
            "type": Type(row["type"]),
            "transferer_address": address_from(row["transferer_address"]),
            "transferee_addresses": tuple(address_from(address) for address in row["transferee_addresses"]),
            "held": tuple(_held_from(party) for party in row["held"]),
            "status": Status(row["status"]),
            "outcome": row["outcome"] and Outcome(row["outcome"]),
            "outcome_reason": row["outcome_reason"] and Reason(row["outcome_reason"]),
            "disposition": row["disposition"] and Disposition(row["disposition"]),
            "ended_by": row["ended_by"] and Party(row["ended_by"]),
            "speaking_to": SpeakingTo(row["speaking_to"]),
            "spoke_to": SpeakingTo(row["spoke_to"]),
            "ring_method": RingMethod(row["ring_method"]),
            "on_failure": FailurePolicy(row["on_failure"]),
            "attempts": tuple(_attempt_from(attempt) for attempt in row["attempts"]),
            "metadata": {entry["key"]: entry["value"] for entry in row["metadata"]},
            "timer": row["timer"] and Timer(row["timer"]),
        }
    )


def call_row(call: Call) -> Json:
    row = {field.name: getattr(call, field.name) for field in fields(call)}
    return row | {
        "source": address_json(call.source),
        "destination": address_json(call.destination),
        "source_target": call.source.target,
        "destination_target": call.destination.target,
    }


CALL_COLUMNS = tuple(field.name for field in fields(Call))


def call_from(row: Any) -> Call:
    known = {name: row[name] for name in CALL_COLUMNS}
    return Call(
        **{
            **known,
            "status": CallStatus(row["status"]),
            "direction": CallDirection(row["direction"]),
            "source": address_from(row["source"]),
            "destination": address_from(row["destination"]),
            "mute_direction": MuteDirection(row["mute_direction"]),
            "hangup_by": row["hangup_by"] and CallHangupBy(row["hangup_by"]),
            "hangup_reason": row["hangup_reason"] and CallHangupReason(row["hangup_reason"]),
        }
    )


def groupcall_row(groupcall: Groupcall) -> Json:
    row = {field.name: getattr(groupcall, field.name) for field in fields(groupcall)}
    return row | {
        "source": address_json(groupcall.source),
        "destinations": [address_json(address) for address in groupcall.destinations],
        "call_ids": list(groupcall.call_ids),
    }


def groupcall_from(row: Any) -> Groupcall:
    return Groupcall(
        **{
            **row,
            "status": GroupcallStatus(row["status"]),
            "source": address_from(row["source"]),
            "destinations": tuple(address_from(address) for address in row["destinations"]),
            "ring_method": RingMethod(row["ring_method"]),
            "call_ids": tuple(row["call_ids"]),
        }
    )


def conference_row(conference: Conference) -> Json:
    return {field.name: getattr(conference, field.name) for field in fields(conference)}


def conference_from(row: Any) -> Conference:
    return Conference(**{**row, "type": ConferenceType(row["type"]), "status": ConferenceStatus(row["status"])})


def event_row(event: Event) -> Json:
    return asdict(event)


def event_from(row: Any) -> Event:
    return Event(
        **{
            **row,
            "kind": EventKind(row["kind"]),
            "type": Type(row["type"]),
            "previous_status": row["previous_status"] and Status(row["previous_status"]),
            "status": Status(row["status"]),
            "outcome": row["outcome"] and Outcome(row["outcome"]),
            "outcome_reason": row["outcome_reason"] and Reason(row["outcome_reason"]),
            "speaking_to": SpeakingTo(row["speaking_to"]),
            "actor_party": Party(row["actor_party"]),
        }
    )


def order_json(order: Order) -> Json:
    return {
        "call_id": order.call_id,
        "confbridge_id": order.confbridge_id,
        "groupcall_id": order.groupcall_id,
        "source": order.source and address_json(order.source),
        "destination": order.destination and address_json(order.destination),
        "is_on_hold": order.is_on_hold,
        "mute_direction": order.mute_direction.value,
    }


def order_from(kind: str, json: Json) -> Order:
    return Order(
        OrderKind(kind),
        json["call_id"],
        json["confbridge_id"],
        json["groupcall_id"],
        json["source"] and address_from(json["source"]),
        json["destination"] and address_from(json["destination"]),
        json["is_on_hold"],
        MuteDirection(json["mute_direction"]),
    )
