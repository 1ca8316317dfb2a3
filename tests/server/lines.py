"""Lines of the log as an operator finds them."""

import json
import logging
from typing import Any

from app.logs import Lines, as_json


class Written(logging.Handler):
    """What was logged, with the ids of its context."""

    def __init__(self) -> None:
        super().__init__()
        self._lines = Lines(as_json)
        self.lines: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(json.loads(self._lines.format(record)))
