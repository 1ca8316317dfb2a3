"""Timers run by the monotonic clock, one for each transfer."""

from dataclasses import replace
from datetime import datetime, timedelta

from app.domain.life import Change
from app.domain.transfer import Status, Timer
from app.timers import Timers
from tests.builders import NOON, TRANSFER, transfer

LATER = NOON + timedelta(seconds=30)


class Counter:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def change(deadline: datetime | None, status: Status = Status.RINGING) -> Change:
    before = transfer(tm_deadline=None, timer=None)
    timer = Timer.RING if deadline else None
    return Change(before, replace(before, status=status, timer=timer, tm_deadline=deadline), (), None)


def test_a_timer_fires_after_its_seconds_whatever_the_clock_on_the_wall_says() -> None:
    counter = Counter()
    timers = Timers(counter)
    timers.follow(change(LATER))
    assert (timers.due(), timers.seconds_left()) == ([], 30)
    counter.seconds = 30
    assert [alarm.transfer_id for alarm in timers.due()] == [TRANSFER]


def test_a_timer_that_is_stopped_does_not_fire() -> None:
    timers = Timers(Counter())
    timers.follow(change(LATER))
    timers.follow(change(None))
    assert timers.seconds_left() == float("inf")


def test_a_deadline_that_was_read_too_early_does_not_replace_a_newer_timer() -> None:
    timers = Timers(Counter())
    timers.follow(change(LATER))
    timers.take_over([(TRANSFER, NOON)], NOON)
    assert timers.seconds_left() == 30


def test_a_timer_that_another_process_left_behind_is_taken_over() -> None:
    timers = Timers(Counter())
    timers.take_over([(TRANSFER, LATER)], NOON)
    assert timers.seconds_left() == 30


def test_the_timer_of_a_consultation_outlasts_a_merge_that_may_be_refused() -> None:
    timers = Timers(Counter())
    timers.follow(change(LATER))
    timers.follow(change(None, Status.MERGED))
    assert timers.seconds_left() == 30
