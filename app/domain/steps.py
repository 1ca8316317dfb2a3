"""The parts of the table of a transfer's life: triggers, and the rows that they select."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from app.domain import effects as do
from app.domain.effects import Cause, Effect
from app.domain.transfer import Disposition, Outcome, Party, Reason, Status, Transfer


class Trigger(StrEnum):
    # commands of a client
    COMPLETE = "COMPLETE"
    CANCEL = "CANCEL"
    SWAP_TO_HELD = "SWAP_TO_HELD"
    SWAP_TO_DESTINATION = "SWAP_TO_DESTINATION"
    MERGE = "MERGE"
    UPDATE = "UPDATE"
    DELETE = "DELETE"
    # reports of the engine
    LEG_RANG = "LEG_RANG"
    LEG_ENDED = "LEG_ENDED"
    """A leg ended. Other destinations still ring, or are still to be dialled."""
    LEGS_ENDED = "LEGS_ENDED"
    ANSWERED = "ANSWERED"
    DESTINATION_LEFT = "DESTINATION_LEFT"
    TRANSFERER_LEFT = "TRANSFERER_LEFT"
    HELD_LEFT = "HELD_LEFT"
    """A held party left. Other held parties remain."""
    LAST_HELD_LEFT = "LAST_HELD_LEFT"
    JOINED = "JOINED"
    BRIDGE_GONE = "BRIDGE_GONE"
    RECALL_ANSWERED = "RECALL_ANSWERED"
    RECALL_ENDED = "RECALL_ENDED"
    # orders
    CONFIRMED = "CONFIRMED"
    """The engine has confirmed every order recorded so far."""
    REFUSED = "REFUSED"
    SPEAKING_REFUSED = "SPEAKING_REFUSED"
    """An order of the last swap or merge was refused."""
    JOIN_REFUSED = "JOIN_REFUSED"
    """The party that answered can't join the bridge: the engine has refused the last try."""
    # timers
    START_TIMEOUT = "START_TIMEOUT"
    RING_TIMEOUT = "RING_TIMEOUT"
    LEG_TIMEOUT = "LEG_TIMEOUT"
    """The ringing destination of a linear hunt timed out. Other destinations are still to be dialled."""
    CONSULT_TIMEOUT = "CONSULT_TIMEOUT"
    RECALL_TIMEOUT = "RECALL_TIMEOUT"
    RECALL_PAUSE_OVER = "RECALL_PAUSE_OVER"


COMMANDS = frozenset(
    {
        Trigger.COMPLETE,
        Trigger.CANCEL,
        Trigger.SWAP_TO_HELD,
        Trigger.SWAP_TO_DESTINATION,
        Trigger.MERGE,
        Trigger.UPDATE,
        Trigger.DELETE,
    }
)


@dataclass(frozen=True, slots=True)
class Ending:
    """The result of a transfer. `reason` and `ended_by` are fixed values, or are computed from the record."""

    outcome: Outcome
    reason: Reason | Callable[[Transfer], Reason | None] | None
    disposition: Disposition | None
    ended_by: Party | Callable[[Transfer], Party | None]


@dataclass(frozen=True, slots=True)
class Step:
    row: int
    """The number of the row in the table of transitions and in the diagram of the README."""
    to: Status | None = None
    """None: the status stays as it is."""
    effects: tuple[Effect, ...] = ()
    ending: Ending | None = None


@dataclass(frozen=True, slots=True)
class Fork:
    test: Callable[[Transfer, Cause], bool]
    yes: Step
    no: Step


@dataclass(frozen=True, slots=True)
class First:
    """Take this step, then look up the trigger again in the new status."""

    step: Step


Row = Step | Fork | First


def stay(row: int, *effects: Effect) -> Step:
    return Step(row, None, effects)


def go(row: int, to: Status, *effects: Effect) -> Step:
    return Step(row, to, effects)


def end(
    row: int,
    outcome: Outcome,
    reason: Reason | Callable[[Transfer], Reason | None] | None,
    disposition: Disposition | None,
    ended_by: Party | Callable[[Transfer], Party | None],
    *effects: Effect,
) -> Step:
    """Return a step into ENDING. Its last order gives up the bridge, after the parties have joined it."""
    ending = Ending(outcome, reason, disposition, ended_by)
    give_up = do.release_bridge if disposition is Disposition.RELEASED else do.clear_keep_alive
    return Step(row, Status.ENDING, (*effects, do.no_timer, give_up), ending)
