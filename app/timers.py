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
    """Reads the wall clock once, and counts on with the monotonic clock. So setting the clock has no effect."""

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
    """The stored deadline, by the wall clock. It identifies the timer."""
    due: float
    """The same moment by the monotonic clock, in seconds."""


class Timers:
    """Counts the seconds of running timers, so that setting the clock makes none longer or shorter.

    The stored deadline decides only for the timers that another process has left behind.
    """

    def __init__(self, counter: Callable[[], float] = monotonic) -> None:
        self._counter = counter
        self._alarms: dict[str, Alarm] = {}

    def follow(self, change: Change) -> None:
        """Start, replace or stop the timer of the changed transfer."""
        t = change.after
        if t.status is Status.MERGED:
            return  # should the merge be refused, the consultation's timer runs on as if it had never stopped
        if t.tm_deadline is None:
            self._alarms.pop(t.id, None)
        elif not self._knows(t.id, t.tm_deadline):
            self._set(t.id, t.tm_deadline, t.tm_update)

    def take_over(self, stored: Iterable[tuple[str, datetime]], now: datetime) -> None:
        """Run the stored timers that this process does not run yet."""
        for transfer_id, deadline in stored:
            if transfer_id not in self._alarms:  # a known alarm may be newer than what was read
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
        """Remove an alarm that has been handled, unless a new one has replaced it."""
        if self._alarms.get(alarm.transfer_id) == alarm:
            del self._alarms[alarm.transfer_id]

    def seconds_left(self) -> float:
        """Return the seconds until the next alarm: at least 0, and infinite when no timer runs."""
        first = min((alarm.due for alarm in self._alarms.values()), default=math.inf)
        return max(0.0, first - self._counter())
