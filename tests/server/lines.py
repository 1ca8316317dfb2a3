"""The log of the server, as an operator reads it."""

import json
import logging
from typing import Any

from app.logs import Lines, as_json


class Written(logging.Handler):
    """A log handler that keeps every line as JSON, with the ids of its context."""

    def __init__(self) -> None:
        super().__init__()
        self._lines = Lines(as_json)
        self.lines: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(json.loads(self._lines.format(record)))
