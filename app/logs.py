"""Log lines: for a person's eyes, or as JSON for a machine's. Each carries the ids of what it is about."""

import logging
import os
import select
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from traceback import format_tb
from typing import Any

import orjson
from structlog.contextvars import get_contextvars
from structlog.dev import ConsoleRenderer, plain_traceback

Entry = dict[str, Any]

STANDARD = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}
"""What every record has; the rest came with `extra`."""
CHATTY = ("aiosqlite", "alembic", "asyncio", "httpx", "uvicorn.access", "uvicorn.error", "websockets")
"""Below WARNING they say nothing to an operator, and some of them quote what clients send."""

STDERR = 2
MOST_BYTES = 1_000_000
"""Of lines that wait for their reader."""

CONTROLS = {code: repr(chr(code))[1:-1] for code in (*range(32), *range(127, 160), 0x2028, 0x2029)}


class Lines(logging.Formatter):
    """There is a line for every operation: structlog's ProcessorFormatter takes twice the time to write it."""

    def __init__(self, render: Callable[[Entry], str]) -> None:
        super().__init__()
        self._render = render

    def format(self, record: logging.LogRecord) -> str:
        time = f"{second(int(record.created))}.{int(record.msecs):03}Z"
        entry = {"timestamp": time, "level": record.levelname.lower(), "event": record.getMessage()}
        entry |= get_contextvars()
        entry |= {name: value for name, value in vars(record).items() if name not in STANDARD}
        if record.levelno >= logging.WARNING:
            entry["logger"] = record.name
        if record.exc_info and record.exc_info[1]:
            entry["exception"] = "".join(trace(record.exc_info[1]))
        return self._render(entry)


@lru_cache(1)
def second(timestamp: int) -> str:
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def trace(error: BaseException, *told: BaseException) -> Iterator[str]:
    """Where it came from and of what class it is. Not its message: that may quote a note, or a token."""
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    for earlier in (cause, *getattr(error, "exceptions", ())):
        if earlier and earlier not in (error, *told):  # they may go round in circles
            yield from trace(earlier, error, *told)
            yield "which led to\n"
    yield from format_tb(error.__traceback__)
    yield f"{type(error).__module__}.{type(error).__qualname__}\n"


def as_json(entry: Entry) -> str:
    return orjson.dumps(entry, default=str).decode()


def as_text(entry: Entry) -> str:
    words = [entry.pop("timestamp"), f"{entry.pop('level'):7}", entry.pop("event")]
    exception = entry.pop("exception", None)
    words += [f"{name}={value}" for name, value in entry.items()]
    return on_one_line(" ".join(words)) + (f"\n{exception}" if exception else "")


def as_coloured_text() -> Callable[[Entry], str]:
    render = ConsoleRenderer(exception_formatter=plain_traceback)
    return lambda entry: render(None, "", {name: _tame(name, value) for name, value in entry.items()})


def _tame(name: str, value: object) -> object:
    return on_one_line(value) if isinstance(value, str) and name != "exception" else value


def on_one_line(text: str) -> str:
    """Whoever is quoted can't begin a line of his own, nor colour it."""
    return text if text.isprintable() else text.translate(CONTROLS)


def renderer(log_format: str) -> Callable[[Entry], str]:
    if log_format == "json":
        return as_json
    return as_coloured_text() if os.isatty(STDERR) else as_text


class Unhindered(logging.Handler):
    """Writes what a descriptor takes at once, and keeps the rest for later: a pipe that nobody reads stops nobody.

    A thread that writes (QueueListener) would cost every line a switch to it, lose the last ones when a signal ends the
    process, and be stuck in the full pipe for good.
    """

    def __init__(self, descriptor: int, most: int = MOST_BYTES) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._most = most
        self._kept = bytearray()
        self._lost = 0
        self._room = select.poll()
        self._room.register(descriptor, select.POLLOUT)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self.flush()
            if self._lost and not self._kept:
                self._offer(self._line(_loss(self._lost)))
                self._lost = 0
            self._offer(self._line(record))
        except Exception:
            self.handleError(record)

    def _line(self, record: logging.LogRecord) -> bytes:
        return (self.format(record) + "\n").encode(errors="backslashreplace")

    def _offer(self, line: bytes) -> None:
        if self._kept and len(self._kept) + len(line) > self._most:
            self._lost += 1
        else:
            self._kept += line
            self.flush()

    def flush(self) -> None:
        try:
            while self._kept and self._room.poll(0):
                # A pipe that takes anything takes as much, and does not wait.
                del self._kept[: os.write(self._descriptor, self._kept[: select.PIPE_BUF])]
        except BlockingIOError:  # whoever gave it to us made it so
            pass
        except OSError:  # the reader has left, the disk is full: there is nobody whom it could be told
            self._kept.clear()


def _loss(lines: int) -> logging.LogRecord:
    message = "%s lines of the log are lost: they were not read in time"
    return logging.LogRecord(__name__, logging.WARNING, "", 0, message, (lines,), None)


def _standard_error() -> int:
    """A terminal does not say how much it takes without waiting: it is opened once more, so as not to wait.

    As it was opened first, others have it, too, who may want to.
    """
    try:
        return os.open(os.ttyname(STDERR), os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return STDERR  # no terminal


def configure_logs(log_format: str, level: str) -> None:
    # No line shows what these find out; the documentation says to turn them off so.
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = Unhindered(_standard_error())
    handler.setFormatter(Lines(renderer(log_format)))
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for chatty in CHATTY:
        logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.getLevelName(level)))
