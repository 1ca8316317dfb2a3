"""The running timers of live transfers, counted by the monotonic clock."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic

from app.domain.life import Change
from app.domain.transfer import Status
from app.ports import Clock


class SteadyClock:
    """The wall clock as it is when this is made, counted on by the monotonic clock: setting the clock moves nothing."""

    def __init__(self, clock: Clock, counter: Callable[[], float] = monotonic) -> None:
        self._start = clock()
        self._counter = counter
        self._started = counter()

    def __call__(self) -> datetime:
        return self._start + timedelta(seconds=self._counter() - self._started)


@dataclass(frozen=True, slots=True)
class Alarm:
    transfer_id: str
    deadline: datetime
    """As it is stored, by the wall clock: it names the timer that the alarm is for."""
    due: float
    """By the monotonic clock."""


class Timers:
    """A clock that is set adds nothing to a timer that this process runs, and takes nothing from it.

    The stored deadline decides only for the timers that another process has left behind.
    """

    def __init__(self, counter: Callable[[], float] = monotonic) -> None:
        self._counter = counter
        self._alarms: dict[str, Alarm] = {}

    def follow(self, change: Change) -> None:
        """Start, replace or stop the timer that a recorded change is about."""
        t = change.after
        if t.status is Status.MERGED:
            return  # should the merge be refused, the consultation's timer runs on as if it had never stopped
        if t.tm_deadline is None:
            self._alarms.pop(t.id, None)
        elif not self._knows(t.id, t.tm_deadline):
            self._set(t.id, t.tm_deadline, t.tm_update)

    def take_over(self, stored: Iterable[tuple[str, datetime]], now: datetime) -> None:
        """Run the timers that are stored, and that this process does not know yet."""
        for transfer_id, deadline in stored:
            if not self._knows(transfer_id, deadline):
                self._set(transfer_id, deadline, now)

    def _knows(self, transfer_id: str, deadline: datetime) -> bool:
        known = self._alarms.get(transfer_id)
        return known is not None and known.deadline == deadline

    def _set(self, transfer_id: str, deadline: datetime, now: datetime) -> None:
        seconds = (deadline - now).total_seconds()
        self._alarms[transfer_id] = Alarm(transfer_id, deadline, self._counter() + seconds)

    def due(self) -> list[Alarm]:
        """Return the alarms that are due, the oldest first. They stay until they are dropped or replaced."""
        now = self._counter()
        return sorted((alarm for alarm in self._alarms.values() if alarm.due <= now), key=lambda alarm: alarm.due)

    def drop(self, alarm: Alarm) -> None:
        """Forget an alarm that has been heard, unless a new one has taken its place."""
        if self._alarms.get(alarm.transfer_id) == alarm:
            del self._alarms[alarm.transfer_id]

    def seconds_left(self) -> float:
        """Return how long it is until the next alarm: infinite when no timer runs, never negative."""
        first = min((alarm.due for alarm in self._alarms.values()), default=math.inf)
        return max(0.0, first - self._counter())
