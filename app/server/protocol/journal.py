"""Writes a log line and counts metrics for each operation, but never its document, variables or messages."""

import logging
from asyncio import CancelledError
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from time import perf_counter

from graphql import OperationType
from structlog.contextvars import bind_contextvars

from app.api.execution.document import Operation, Unreadable
from app.server.metrics import OK, Metrics

logger = logging.getLogger(__name__)

CANCELLED = "CANCELLED"


class Entry:
    """What is noted about one operation while it runs."""

    def __init__(self) -> None:
        self.codes: list[str] = []
        self.ran = True
        self._told: list[Callable[[str], None]] = []

    @property
    def outcome(self) -> str:
        return self.codes[0] if self.codes else OK

    def note(self, *codes: str) -> None:
        """Add the codes of errors, each once."""
        self.codes += (code for code in dict.fromkeys(codes) if code not in self.codes)

    def at_end(self, tell: Callable[[str], None]) -> None:
        """Call `tell` with the outcome when the operation ends."""
        self._told.append(tell)

    def end(self) -> None:
        for tell in self._told:
            tell(self.outcome)


present: ContextVar[Entry] = ContextVar("present")
"""The entry of the operation that the current task runs."""


class Journal:
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    @contextmanager
    def operation(self, operation: Operation | Unreadable, about: Mapping[str, object]) -> Iterator[Entry]:
        """Note an operation while it runs. `about` is bound to every further log line of the task.

        Each operation runs in a task of its own.
        """
        bind_contextvars(**about)
        entry, begun = Entry(), perf_counter()
        present.set(entry)
        endless = operation.type is OperationType.SUBSCRIPTION
        try:
            with self._metrics.subscriptions.track_inprogress() if endless else nullcontext():
                yield entry
        except (CancelledError, GeneratorExit):
            entry.note(*(() if endless else (CANCELLED,)))
            raise
        finally:
            self._end(operation, entry, perf_counter() - begun, str(about["customer_id"]))
            entry.end()

    def refused(self, code: str, request_id: str, **about: str) -> None:
        """Tell of a request, a socket or an operation on one that nothing was run for. `about` stands in the line."""
        self._metrics.turned_away(code)
        logger.info("request refused", extra={"request_id": request_id, "outcome": code, **about})

    def _end(self, operation: Operation | Unreadable, entry: Entry, seconds: float, customer_id: str) -> None:
        kind = "unreadable" if isinstance(operation, Unreadable) else operation.type.value
        timed = seconds if entry.ran and operation.type is not OperationType.SUBSCRIPTION else None
        self._metrics.ran(kind, operation.name, entry.outcome, timed, customer_id)
        told = {"outcome": entry.outcome, "ms": round(seconds * 1000, 1)}
        logger.info("operation", extra=told | ({"codes": entry.codes} if entry.codes else {}))
