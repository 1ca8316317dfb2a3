"""The life of a transfer for the reference: a table for each status, read off `LIFE`."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from app.domain import effects as do
from app.domain.life import LIFE, kept, kept_party, recalls_left, returning
from app.domain.steps import Ending, First, Fork, Row, Step, Trigger
from app.domain.transfer import TERMINAL, Status, Type

T = Trigger

TRIGGERS = {
    T.COMPLETE: "`completeTransfer`",
    T.CANCEL: "`cancelTransfer`",
    T.SWAP_TO_HELD: "`swapTransfer` to `HELD`",
    T.SWAP_TO_DESTINATION: "`swapTransfer` to `DESTINATION`",
    T.MERGE: "`mergeTransfer`",
    T.UPDATE: "`updateTransfer`",
    T.DELETE: "`deleteTransfer`",
    T.LEG_RANG: "A destination rings",
    T.LEG_ENDED: "A destination fails, and others are left",
    T.LEGS_ENDED: "The last destination fails",
    T.ANSWERED: "A destination answers",
    T.DESTINATION_LEFT: "The destination hangs up",
    T.TRANSFERER_LEFT: "The transferer hangs up",
    T.HELD_LEFT: "A held party hangs up, and others are left",
    T.LAST_HELD_LEFT: "The last held party hangs up",
    T.JOINED: "Another call joins the bridge",
    T.BRIDGE_GONE: "The bridge is gone",
    T.RECALL_ANSWERED: "The transferer answers the recall",
    T.RECALL_ENDED: "The recall fails",
    T.CONFIRMED: "The engine has confirmed every order",
    T.REFUSED: "The engine refuses an order",
    T.SPEAKING_REFUSED: "The engine refuses the last swap or merge",
    T.JOIN_REFUSED: "The engine refuses to let the party that answered into the bridge",
    T.START_TIMEOUT: "The engine does not confirm the start in time",
    T.RING_TIMEOUT: "No destination answers within `ringTimeout`",
    T.LEG_TIMEOUT: "A destination does not answer within `ringTimeout`, and others are left",
    T.CONSULT_TIMEOUT: "The consultation lasts for `consultTimeout`",
    T.RECALL_TIMEOUT: "The transferer does not answer the recall within `ringTimeout`",
    T.RECALL_PAUSE_OVER: "The pause between two recalls is over",
}
"""What happens. Commands are named by their mutation."""

CONDITIONS: dict[Callable[..., bool], tuple[str, str]] = {
    returning: ("`onFailure` is `RETURN_TO_TRANSFERER`", "`onFailure` is `RELEASE`"),
    recalls_left: ("recall attempts are left", "no recall attempt is left"),
}
"""What a fork asks, when the answer is yes and when it is no."""

READ_OFF: dict[object, str] = {
    do.legs_reason: "BUSY, NO_ANSWER, DECLINED or UNREACHABLE",
    kept: "unchanged",
    kept_party: "unchanged",
}
"""What an ending reads off the record."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a status's table: what happens, and what follows."""

    trigger: str
    types: str
    """The type of the transfer, where the other one has another row or none; else empty."""
    condition: str
    row: int
    goes_to: tuple[Status, ...]
    """Empty: the status stays. Several: the outcome becomes the status."""
    goes_on: bool
    """Whether the new status's own row for the same trigger follows at once."""
    ending: tuple[tuple[str, str], ...]
    """Names and values of the fields that an ending sets."""


def changes_of_status() -> dict[tuple[Status, Status], list[int]]:
    """Return the numbers of the rows that lead from one status to another."""
    found: dict[tuple[Status, Status], set[int]] = {}
    for status, _, step in _every_step():
        for to in _goes_to(step):
            if to is not status:
                found.setdefault((status, to), set()).add(step.row)
    return {pair: sorted(rows) for pair, rows in sorted(found.items())}


def stages() -> dict[Status, list[Entry]]:
    """Return the table of each status."""
    return {status: list(_entries(status)) for status in Status}


def _every_step() -> Iterator[tuple[Status, Trigger, Step]]:
    for table in LIFE.values():
        for (status, trigger), row in table.items():
            for _, step in _steps(row):
                yield status, trigger, step


def _entries(status: Status) -> Iterator[Entry]:
    reaching = [type_ for type_ in Type if status in _reached(type_)]
    for trigger in Trigger:
        rows = {type_: LIFE[type_].get((status, trigger)) for type_ in reaching}
        is_shared = len(set(rows.values())) == 1
        for type_, row in list(rows.items())[: 1 if is_shared else None]:
            if row:
                yield from _lines(trigger, "" if is_shared else type_.value.capitalize(), row)


def _lines(trigger: Trigger, types: str, row: Row) -> Iterator[Entry]:
    for condition, step in _steps(row):
        ending = tuple(_ending(step.ending)) if step.ending else ()
        yield Entry(TRIGGERS[trigger], types, condition, step.row, _goes_to(step), isinstance(row, First), ending)


def _steps(row: Row) -> list[tuple[str, Step]]:
    """Return the steps of a row, each with its condition."""
    if isinstance(row, Fork):
        yes, no = CONDITIONS[row.test]
        return [(yes, row.yes), (no, row.no)]
    return [("", row.step if isinstance(row, First) else row)]


def _goes_to(step: Step) -> tuple[Status, ...]:
    if do.conclude in step.effects:
        return tuple(status for status in Status if status in TERMINAL)
    return (step.to,) if step.to else ()


def _ending(ending: Ending) -> Iterator[tuple[str, str]]:
    values = {
        "outcome": ending.outcome,
        "outcomeReason": ending.reason,
        "disposition": ending.disposition,
        "endedBy": ending.ended_by,
    }
    for name, value in values.items():
        if value is not None:
            yield name, READ_OFF[value] if callable(value) else value.value


def _reached(type_: Type) -> set[Status]:
    """Return the statuses that a transfer of this type can have."""
    found, todo = set[Status](), [Status.STARTING]
    while todo:
        status = todo.pop()
        found.add(status)
        rows = [row for (start, _), row in LIFE[type_].items() if start is status]
        todo += [to for row in rows for _, step in _steps(row) for to in _goes_to(step) if to not in found]
    return found
