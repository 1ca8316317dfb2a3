"""The groupcall of a transfer: the dialling of its destinations, as one resource."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from app.domain.calls import Groupcall, GroupcallStatus
from app.domain.transfer import Transfer


def groupcall_of(t: Transfer, legs_up: Collection[str]) -> Groupcall:
    """Return the transfer's groupcall as it is now.

    `legs_up`: the ids of its legs that are up. While an attempt is open they make no difference.
    """
    return Groupcall(
        id=t.groupcall_id,
        customer_id=t.customer_id,
        status=_status(t, legs_up),
        source=t.transferer_address,
        destinations=t.transferee_addresses,
        ring_method=t.ring_method,
        call_ids=tuple(attempt.call_id for attempt in t.attempts),
        answer_call_id=t.transferee_call_id,
        tm_create=t.tm_create,
        tm_update=t.tm_update,
    )


def _status(t: Transfer, legs_up: Collection[str]) -> GroupcallStatus:
    if t.open_attempts or t.transferee_call_id in legs_up:
        return GroupcallStatus.PROGRESSING
    return GroupcallStatus.HANGINGUP if legs_up else GroupcallStatus.HANGUP


def ends_with_its_legs(groupcall: Groupcall) -> bool:
    """Return whether the end of its last leg ends the groupcall: it is answered or hangs up, so no leg is dialled."""
    if groupcall.status is GroupcallStatus.PROGRESSING:
        return groupcall.answer_call_id is not None
    return groupcall.status is not GroupcallStatus.HANGUP


def leg_ended(groupcall: Groupcall, legs_up: Collection[str], at: datetime) -> Groupcall:
    """Return the groupcall after the end of one of its legs, when these are still up."""
    if legs_up or not ends_with_its_legs(groupcall):
        return groupcall
    return replace(groupcall, status=GroupcallStatus.HANGUP, tm_update=at)
