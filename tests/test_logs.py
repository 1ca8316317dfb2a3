"""The contents of log lines, and what they must never contain."""

import asyncio
import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from structlog.contextvars import bound_contextvars

from app.logs import CHATTY, Lines, Unhindered, as_coloured_text, as_json, as_text, configure_logs, trace
from tests.serving import serving

NOTE = "the caller cried"


def record(message: str = "operation", error: BaseException | None = None, **extra: object) -> logging.LogRecord:
    raised = (type(error), error, error.__traceback__) if error else None
    return logging.getLogger("app.server").makeRecord(
        "app.server", logging.ERROR if error else logging.INFO, "x.py", 1, message, (), raised, extra=extra
    )


def raised(error: Exception, cause: Exception | None = None) -> Exception:
    try:
        raise error from cause
    except Exception as caught:
        return caught


@pytest.fixture
def plain_logging() -> Iterator[None]:
    """Restore what configure_logs changes."""
    speed = logging._srcfile, logging.logThreads, logging.logProcesses, logging.logMultiprocessing
    root, chatty = logging.getLogger(), [logging.getLogger(name) for name in CHATTY]
    handlers, levels = root.handlers[:], {one: one.level for one in (root, *chatty)}
    yield
    root.handlers[:] = handlers
    logging._srcfile, logging.logThreads, logging.logProcesses, logging.logMultiprocessing = speed
    for one, level in levels.items():
        one.setLevel(level)


def test_a_line_carries_the_ids_of_what_it_is_about() -> None:
    with bound_contextvars(request_id="r1", customer_id="c1"):
        line = json.loads(Lines(as_json).format(record(outcome="ok", ms=1.5)))
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "level": "info",
        "event": "operation",
        "request_id": "r1",
        "customer_id": "c1",
        "outcome": "ok",
        "ms": 1.5,
    }


def test_a_line_for_a_persons_eyes() -> None:
    with bound_contextvars(request_id="r1"):
        line = Lines(as_text).format(record(outcome="ok"))
    assert line.split(" ", 1)[1] == "info    operation request_id=r1 outcome=ok"


@pytest.mark.parametrize("render", [as_text, as_coloured_text()])
def test_whoever_is_quoted_can_not_begin_a_line_of_his_own(render: Callable[[dict[str, Any]], str]) -> None:
    quoted = "SSH-2.0\r\n2030 error \x1b[31mforged\x85\u2028"
    line = Lines(render).format(record(f"It says {quoted}", why=quoted))
    assert len(line.splitlines()) == 1
    assert "\x1b[31mforged" not in line
    assert line.count("forged") == 2


def test_a_fault_is_traced_without_its_message() -> None:
    error = raised(ValueError(NOTE), cause=raised(KeyError(NOTE)))
    line = Lines(as_text).format(record("fault", error))
    assert "builtins.KeyError\nwhich led to\n" in line
    assert line.endswith("builtins.ValueError\n")
    assert "in raised" in line
    assert NOTE not in line


def test_errors_that_led_to_each_other_are_traced_once() -> None:
    first, second = ValueError(), KeyError()
    first.__context__, second.__context__ = second, first
    assert "".join(trace(first)) == "builtins.KeyError\nwhich led to\nbuiltins.ValueError\n"


def test_the_errors_of_a_group_are_all_traced() -> None:
    group = ExceptionGroup(NOTE, [raised(ValueError(NOTE)), raised(KeyError(NOTE))])
    line = json.loads(Lines(as_json).format(record("fault", group)))
    assert "builtins.ValueError" in line["exception"]
    assert "builtins.KeyError" in line["exception"]
    assert NOTE not in line["exception"]


class Pipe:
    """A pipe with a slow reader."""

    def __init__(self) -> None:
        self.source, self.sink = os.pipe()
        os.set_blocking(self.source, False)

    def fill(self) -> None:
        os.set_blocking(self.sink, False)
        with suppress(BlockingIOError):
            while True:
                os.write(self.sink, b"." * 4096)
        os.set_blocking(self.sink, True)

    def read(self) -> str:
        octets = b""
        with suppress(BlockingIOError):
            while piece := os.read(self.source, 100_000):
                octets += piece
        return octets.decode().lstrip(".")


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    for descriptor in (pipe.source, pipe.sink):
        with suppress(OSError):
            os.close(descriptor)


def unhindered(pipe: Pipe, most: int = 1_000_000) -> logging.Handler:
    handler = Unhindered(pipe.sink, most)
    handler.setFormatter(logging.Formatter("%(message)s"))
    return handler


def test_lines_are_written_at_once_and_whole_in_their_order(pipe: Pipe) -> None:
    handler = unhindered(pipe)
    for message in ("first", "x" * 10_000, "a lone surrogate: \ud800"):
        handler.handle(record(message))
        assert pipe.read() == message.replace("\ud800", "\\ud800") + "\n"


def test_lines_that_nobody_reads_wait_for_their_reader_and_nobody_for_them(pipe: Pipe) -> None:
    handler = unhindered(pipe)
    pipe.fill()
    for message in ("first", "second"):
        handler.handle(record(message))
    assert pipe.read() == ""
    handler.handle(record("third"))
    assert pipe.read() == "first\nsecond\nthird\n"


def test_the_last_of_them_are_written_at_the_end(pipe: Pipe) -> None:
    handler = unhindered(pipe)
    pipe.fill()
    handler.handle(record("last"))
    pipe.read()
    handler.flush()
    assert pipe.read() == "last\n"


def test_how_many_were_too_many_is_told_when_there_is_a_reader_again(pipe: Pipe) -> None:
    handler = unhindered(pipe, most=20)
    pipe.fill()
    for number in range(5):
        handler.handle(record(f"number {number}"))
    pipe.read()
    handler.handle(record("again"))
    told = "3 log lines are lost: their reader was too slow\n"
    assert pipe.read() == f"number 0\nnumber 1\n{told}again\n"
    handler.handle(record("and again"))
    assert pipe.read() == "and again\n"


def test_a_reader_who_has_left_is_no_trouble(pipe: Pipe, capfd: pytest.CaptureFixture[str]) -> None:
    handler = unhindered(pipe)
    os.close(pipe.source)
    handler.handle(record())
    assert capfd.readouterr().err == ""


@pytest.mark.slow
async def test_a_server_whose_log_nobody_reads_goes_on(tmp_path: Path, pipe: Pipe) -> None:
    pipe.fill()
    async with asyncio.timeout(60), serving(tmp_path, stderr=pipe.sink) as served:
        for _ in range(3):
            assert await served.client().ask("{ viewer { subject } }")
        assert "outcome" not in pipe.read()
        assert await served.client().ask("{ viewer { subject } }")
        assert pipe.read().count("outcome=ok") == 4


@pytest.mark.slow
async def test_so_does_one_on_a_terminal_that_nobody_reads(tmp_path: Path) -> None:
    reader, terminal = os.openpty()
    try:
        async with asyncio.timeout(60), serving(tmp_path, stderr=terminal) as served:
            for _ in range(100):
                await served.client().ask("{ viewer { subject } }")
            await served.kill()
    finally:
        os.close(reader)
        os.close(terminal)


@pytest.mark.usefixtures("plain_logging")
def test_libraries_that_quote_what_they_handle_are_quiet_at_any_level(capfd: pytest.CaptureFixture[str]) -> None:
    configure_logs("json", "DEBUG")
    logging.getLogger("app").debug("ours")
    for name in CHATTY:
        logging.getLogger(name).info(NOTE)
    told = capfd.readouterr().err
    assert "ours" in told
    assert NOTE not in told
