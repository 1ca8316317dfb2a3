"""What a line of the log carries, and what it never does."""

import json
import logging
import sys
from collections.abc import Iterator

import pytest
from structlog.contextvars import bound_contextvars

from app.logs import CHATTY, Lines, as_json, as_text, configure_logs, trace

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
    """What configure_logs changes is put back."""
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


@pytest.mark.usefixtures("plain_logging")
def test_libraries_that_quote_what_they_handle_are_quiet_at_any_level(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("json", "DEBUG")
    logging.getLogger("app").debug("ours")
    for name in CHATTY:
        logging.getLogger(name).info(NOTE)
    sys.stderr.flush()
    told = capsys.readouterr().err
    assert "ours" in told
    assert NOTE not in told
