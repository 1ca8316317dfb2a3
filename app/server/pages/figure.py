"""The figure of a transfer's life: where its boxes and arrows are. The arrows are those of the table."""

from dataclasses import dataclass
from math import hypot

from app.domain.transfer import TERMINAL, Status
from app.server.pages.life import changes_of_status

WIDTH, HEIGHT = 380, 745
PLACES = {
    Status.STARTING: (190, 66),
    Status.RINGING: (80, 160),
    Status.CONSULTING: (56, 330),
    Status.MERGED: (56, 470),
    Status.TRANSFERRING: (306, 190),
    Status.RECALLING: (324, 380),
    Status.ENDING: (190, 570),
    Status.COMPLETED: (58, 670),
    Status.CANCELLED: (120, 720),
    Status.FAILED: (260, 720),
    Status.ABANDONED: (322, 670),
}
"""The centre of each status in the figure. Straight lines between them cross no other status."""
BOX = (108, 30)
START = (190, 14)
APART = 7
"""Distance of each of two opposite arrows from the straight line between their statuses."""
LABEL = 0.3
"""Where a label stands on its arrow, from 0 (the beginning) to 1. Near the beginning the arrows are farther apart."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Arrow:
    start: Status
    to: Status
    begin: Point
    end: Point
    rows: str

    @property
    def label(self) -> Point:
        (x, y), (to_x, to_y) = self.begin, self.end
        return round(x + (to_x - x) * LABEL, 1), round(y + (to_y - y) * LABEL, 1)


def figure() -> dict[str, object]:
    """Return the boxes and arrows of the figure: an arrow for each change of status in the table."""
    changes = changes_of_status()
    arrows = [_arrow(start, to, rows, (to, start) in changes) for (start, to), rows in changes.items()]
    return {"size": (WIDTH, HEIGHT), "box": BOX, "places": PLACES, "start": START, "arrows": arrows, "final": TERMINAL}


def _arrow(start: Status, to: Status, rows: list[int], has_counterpart: bool) -> Arrow:
    (x, y), (to_x, to_y) = PLACES[start], PLACES[to]
    length = hypot(to_x - x, to_y - y)
    across, along = (to_x - x) / length, (to_y - y) / length
    aside = APART if has_counterpart else 0
    begin, end = _edge(PLACES[start], across, along), _edge(PLACES[to], -across, -along)
    begin, end = _moved(begin, across, along, aside), _moved(end, across, along, aside)
    return Arrow(start, to, begin, end, ", ".join(map(str, rows)))


def _edge(centre: Point, across: float, along: float) -> Point:
    """Return where a line from the centre of a box, in this direction, leaves the box."""
    reach = min(BOX[0] / 2 / abs(across) if across else 1e9, BOX[1] / 2 / abs(along) if along else 1e9)
    return centre[0] + across * reach, centre[1] + along * reach


def _moved(point: Point, across: float, along: float, aside: float) -> Point:
    return round(point[0] - along * aside, 1), round(point[1] + across * aside, 1)
