"""What the README files take from the code. To write it there: python -m tests.readme.generated."""

from pydantic.fields import FieldInfo

from app.domain.life import LIFE
from app.domain.steps import COMMANDS, First, Fork, Row, Step, Trigger
from app.domain.transfer import TERMINAL, Status
from app.settings import PREFIX, Settings
from tests.readme.pages import HOUSE, README, write


def diagram() -> str:
    """Return each change of status in the table of the life, with its rows and triggers, as Mermaid draws it."""
    arrows: dict[tuple[str, str], set[tuple[int, str]]] = {("[*]", "STARTING"): {(1, "start")}}
    for table in LIFE.values():
        for (status, trigger), row in table.items():
            for step in _steps(row):
                if step.to is not None and step.to is not status:
                    arrows.setdefault((status.value, step.to.value), set()).add((step.row, _words(trigger)))
    for terminal in sorted(TERMINAL):
        arrows[(Status.ENDING.value, terminal.value)] = {(27, "confirmed")}
    return "stateDiagram-v2\n" + "".join(
        f"    {start} --> {to}: {_label(why)}\n" for (start, to), why in sorted(arrows.items())
    )


def _steps(row: Row) -> list[Step]:
    return [row.yes, row.no] if isinstance(row, Fork) else [row.step] if isinstance(row, First) else [row]


def _words(trigger: Trigger) -> str:
    return trigger.value.lower() if trigger in COMMANDS else trigger.value.lower().replace("_", " ")


def _label(why: set[tuple[int, str]]) -> str:
    rows: dict[int, list[str]] = {}
    for row, trigger in sorted(why):
        rows.setdefault(row, []).append(trigger)
    return ", ".join(f"{row} {' / '.join(triggers)}" for row, triggers in rows.items())


def settings_table() -> str:
    rows = (
        f"| `{PREFIX}{name.upper()}` | {_default(field)} | {field.description} |\n"
        for name, field in Settings.model_fields.items()
    )
    return "| variable | default | what it is |\n|---|---|---|\n" + "".join(rows)


def _default(field: FieldInfo) -> str:
    if field.default in (None, "", ()):
        return ""
    return f"`{str(field.default).lower() if isinstance(field.default, bool) else field.default}`"


if __name__ == "__main__":
    write("diagram", README, diagram())
    write("settings", HOUSE, settings_table())
