"""Inputs are reduced to what they need: a filter has no duplicates."""

from dataclasses import fields
from typing import Any, TypeVar

from app.api.inputs import CallFilter, TransferEventFilter, TransferFilter, call_filter, event_filter, transfer_filter
from app.domain.calls import CallStatus
from app.domain.transfer import Reason, Status

F = TypeVar("F", TransferFilter, TransferEventFilter, CallFilter)


def filled(kind: type[F], **given: Any) -> F:
    """Return the input as GraphQL makes it: absent fields are null."""
    return kind(**{field.name: None for field in fields(kind)} | given)


def test_what_stands_in_a_filter_again_and_again_is_looked_for_once() -> None:
    statuses = [Status.RINGING, Status.MERGED] * 4_000
    transfers = transfer_filter(filled(TransferFilter, statuses=statuses, outcome_reasons=[Reason.BUSY] * 9))
    assert (transfers.statuses, transfers.outcome_reasons) == (statuses[:2], [Reason.BUSY])
    assert event_filter(filled(TransferEventFilter, statuses=statuses)).statuses == statuses[:2]
    assert call_filter(filled(CallFilter, statuses=[CallStatus.RINGING] * 9)).statuses == [CallStatus.RINGING]


def test_an_empty_list_still_wants_nothing() -> None:
    assert event_filter(filled(TransferEventFilter, statuses=[])).statuses == []
