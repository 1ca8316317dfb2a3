"""What a groupcall is like while its destinations are dialled, and when it ends."""

from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta

import pytest

from app.domain.calls import GroupcallStatus
from app.domain.groupcalls import ends_with_its_legs, groupcall_of, leg_ended
from app.domain.transfer import DialOutcome, Transfer
from tests.builders import LEG, NOON, OTHER_LEG, transfer

LATER = NOON + timedelta(seconds=1)
PROGRESSING, HANGINGUP, HANGUP = GroupcallStatus.PROGRESSING, GroupcallStatus.HANGINGUP, GroupcallStatus.HANGUP


def settled(transferee_call_id: str | None = None) -> Transfer:
    """No attempt is open any more."""
    t = transfer()
    attempts = tuple(replace(attempt, outcome=DialOutcome.CANCELLED) for attempt in t.attempts)
    return replace(t, attempts=attempts, transferee_call_id=transferee_call_id)


@pytest.mark.parametrize(
    ("t", "legs_up", "status"),
    [
        (transfer(), (), PROGRESSING),
        (settled(LEG), {LEG}, PROGRESSING),
        (settled(LEG), {OTHER_LEG}, HANGINGUP),
        (settled(), {LEG}, HANGINGUP),
        (settled(), (), HANGUP),
    ],
    ids=["an attempt is open", "answered", "the answered leg has ended", "its legs end", "no leg is up"],
)
def test_the_status_follows_the_attempts_and_the_legs(
    t: Transfer, legs_up: Collection[str], status: GroupcallStatus
) -> None:
    assert groupcall_of(t, legs_up).status is status


def test_it_ends_with_its_last_leg() -> None:
    answered = groupcall_of(settled(LEG), {LEG})
    assert leg_ended(answered, {LEG}, LATER) == answered
    assert leg_ended(answered, (), LATER) == replace(answered, status=HANGUP, tm_update=LATER)


def test_it_goes_on_while_destinations_are_still_dialled() -> None:
    hunting = groupcall_of(transfer(), ())
    assert not ends_with_its_legs(hunting)
    assert leg_ended(hunting, (), LATER) == hunting


def test_it_ends_once() -> None:
    ended = groupcall_of(settled(), ())
    assert leg_ended(ended, (), LATER) == ended
