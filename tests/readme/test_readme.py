"""The README says only what is true: its tables and diagrams are the code's, and its examples run."""

import re
from pathlib import Path

from app.domain.life import LIFE
from app.domain.steps import COMMANDS, First, Fork, Row, Step
from app.domain.transfer import TERMINAL, Status
from app.settings import Settings

README = Path(__file__).parents[2] / "README.md"


def block(name: str) -> str:
    """What stands in the code block after this mark."""
    found = re.search(rf"<!-- test: {name} -->\n```\w*\n(.*?)```", README.read_text(), re.DOTALL)
    assert found
    return found[1]


def steps_of(row: Row) -> list[Step]:
    return [row.yes, row.no] if isinstance(row, Fork) else [row.step] if isinstance(row, First) else [row]


def diagram() -> str:
    """Each change of status in the table, with its rows and triggers."""
    arrows: dict[tuple[str, str], set[tuple[int, str]]] = {("[*]", "STARTING"): {(1, "start")}}
    for table in LIFE.values():
        for (status, trigger), row in table.items():
            for step in steps_of(row):
                if step.to is not None and step.to is not status:
                    name = trigger.value.lower() if trigger in COMMANDS else trigger.value.lower().replace("_", " ")
                    arrows.setdefault((status.value, step.to.value), set()).add((step.row, name))
    for terminal in sorted(TERMINAL):
        arrows[(Status.ENDING.value, terminal.value)] = {(27, "confirmed")}
    return "stateDiagram-v2\n" + "".join(
        f"    {start} --> {to}: {_label(why)}\n" for (start, to), why in sorted(arrows.items())
    )


def _label(why: set[tuple[int, str]]) -> str:
    rows: dict[int, list[str]] = {}
    for row, trigger in sorted(why):
        rows.setdefault(row, []).append(trigger)
    return ", ".join(f"{row} {' / '.join(triggers)}" for row, triggers in rows.items())


def settings_table() -> str:
    lines = []
    for name, field in Settings.model_fields.items():
        default = field.default
        shown = f"`{'true' if default else 'false'}`" if isinstance(default, bool) else f"`{default}`"
        shown = "" if default in (None, "", ()) else shown
        lines.append(f"| `TRANSFERS_{name.upper()}` | {shown} | {field.description} |")
    return "\n".join(lines)


def test_the_diagram_is_the_table() -> None:
    assert block("diagram") == diagram()


def test_every_setting_is_in_the_table() -> None:
    assert settings_table() in README.read_text()
