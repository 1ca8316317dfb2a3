"""Prints figures as a Markdown table, for a README."""

from collections.abc import Iterable


def show(head: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    columns = tuple(head)
    for row in (columns, ["---"] * len(columns), *rows):
        print(f"| {' | '.join(row)} |", flush=True)


def ms(seconds: float) -> str:
    milliseconds = seconds * 1000
    return f"{milliseconds:.1f} ms" if milliseconds < 100 else f"{milliseconds:,.0f} ms"
