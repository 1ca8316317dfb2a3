"""Log lines, as text or as JSON. Each has the ids of its request, customer and transfer."""

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

Fields = dict[str, Any]

STANDARD = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}
"""Attributes of every LogRecord. All others were passed as `extra`."""
CHATTY = ("aiosqlite", "alembic", "asyncio", "httpx", "uvicorn.access", "uvicorn.error", "websockets")
"""Libraries that may log only WARNING and above: their other lines help no operator, and can quote clients."""

STDERR = 2
MOST_BYTES = 1_000_000
"""Most bytes of lines that wait for a slow reader."""

CONTROLS = {code: repr(chr(code))[1:-1] for code in (*range(32), *range(127, 160), 0x2028, 0x2029)}


class Lines(logging.Formatter):
    """A formatter with structlog's fields. structlog's own ProcessorFormatter takes twice the time for each line."""

    def __init__(self, render: Callable[[Fields], str]) -> None:
        super().__init__()
        self._render = render

    def format(self, record: logging.LogRecord) -> str:
        time = f"{second(int(record.created))}.{int(record.msecs):03}Z"
        fields = {"timestamp": time, "level": record.levelname.lower(), "event": record.getMessage()}
        fields |= get_contextvars()
        fields |= {name: value for name, value in vars(record).items() if name not in STANDARD}
        if record.levelno >= logging.WARNING:
            fields["logger"] = record.name
        if record.exc_info and record.exc_info[1]:
            fields["exception"] = "".join(trace(record.exc_info[1]))
        return self._render(fields)


@lru_cache(1)
def second(timestamp: int) -> str:
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def trace(error: BaseException, *told: BaseException) -> Iterator[str]:
    """Yield the traceback and the class of the error. Its message is left out: it can quote a note or a token."""
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    for earlier in (cause, *getattr(error, "exceptions", ())):
        if earlier and earlier not in (error, *told):  # errors can refer to each other
            yield from trace(earlier, error, *told)
            yield "which led to\n"
    yield from format_tb(error.__traceback__)
    yield f"{type(error).__module__}.{type(error).__qualname__}\n"


def as_json(fields: Fields) -> str:
    return orjson.dumps(fields, default=str).decode()


def as_text(fields: Fields) -> str:
    words = [fields.pop("timestamp"), f"{fields.pop('level'):7}", fields.pop("event")]
    exception = fields.pop("exception", None)
    words += [f"{name}={value}" for name, value in fields.items()]
    return on_one_line(" ".join(words)) + (f"\n{exception}" if exception else "")


def as_coloured_text() -> Callable[[Fields], str]:
    render = ConsoleRenderer(exception_formatter=plain_traceback)
    return lambda fields: render(None, "", {name: _tame(name, value) for name, value in fields.items()})


def _tame(name: str, value: object) -> object:
    return on_one_line(value) if isinstance(value, str) and name != "exception" else value


def on_one_line(text: str) -> str:
    """Escape control characters, so that quoted text can't forge a log line or colour it."""
    return text if text.isprintable() else text.translate(CONTROLS)


def renderer(log_format: str) -> Callable[[Fields], str]:
    if log_format == "json":
        return as_json
    return as_coloured_text() if os.isatty(STDERR) else as_text


class Unhindered(logging.Handler):
    """A handler that never blocks: it buffers what a full pipe or terminal does not accept, and writes it later.

    A writer thread (QueueListener) would be worse: each line costs a thread switch, a signal loses the last lines, and
    the thread blocks in the full pipe for ever.
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
                # A pipe that is ready accepts PIPE_BUF bytes without blocking.
                del self._kept[: os.write(self._descriptor, self._kept[: select.PIPE_BUF])]
        except BlockingIOError:  # the descriptor is non-blocking and full: try again with the next line
            pass
        except OSError:  # the reader is gone or the disk is full, and there is no other place to report it
            self._kept.clear()


def _loss(lines: int) -> logging.LogRecord:
    message = "%s log lines are lost: their reader was too slow"
    return logging.LogRecord(__name__, logging.WARNING, "", 0, message, (lines,), None)


def _standard_error() -> int:
    """Return a descriptor of standard error. A terminal is opened again as non-blocking.

    A write to a terminal can block even when poll says that it is ready. The first descriptor is shared with other
    processes, so its flags must not change.
    """
    try:
        return os.open(os.ttyname(STDERR), os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return STDERR  # not a terminal


def configure_logs(log_format: str, level: str) -> None:
    # No line shows the caller, thread or process. The logging documentation turns them off like this, to save time.
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = Unhindered(_standard_error())
    handler.setFormatter(Lines(renderer(log_format)))
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for chatty in CHATTY:
        logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.getLevelName(level)))
