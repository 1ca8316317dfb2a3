"""The README files, and the blocks of them that tests read."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
HOUSE = ROOT / "app" / "README.md"
SERVER = ROOT / "app" / "server" / "README.md"
SIMULATOR = ROOT / "app" / "telephony" / "simulator" / "README.md"
API = ROOT / "app" / "api" / "README.md"
TESTS = ROOT / "tests" / "README.md"
PAGES = (
    README,
    HOUSE,
    SERVER,
    SIMULATOR,
    TESTS,
    API,
    ROOT / "tests" / "bench" / "README.md",
    ROOT / "tests" / "clients" / "README.md",
)

FENCED = r"(<!-- test: {} -->\n```\w*\n)(.*?)(```)"
TABLE = r"(<!-- test: {} -->\n)((?:\|.*\n)+)()"


def block(name: str, page: Path = README) -> str:
    """Return what is in the code blocks with this mark, one after the other."""
    found = re.findall(FENCED.format(name), page.read_text(), re.DOTALL)
    assert found, f"{page} has no block {name}"
    return "".join(text for _, text, _ in found)


def table(name: str, page: Path) -> str:
    """Return the table with this mark."""
    found = re.search(TABLE.format(name), page.read_text())
    assert found, f"{page} has no table {name}"
    return found[2]


def rows(name: str, page: Path) -> list[list[str]]:
    """Return the cells of each row of the table with this mark, without its head."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table(name, page).splitlines()[2:]]


def write(name: str, page: Path, text: str) -> None:
    """Replace what is in the code block or table with this mark."""
    old = page.read_text()
    pattern = FENCED if re.search(FENCED.format(name), old, re.DOTALL) else TABLE
    new = re.sub(pattern.format(name), lambda found: found[1] + text + found[3], old, flags=re.DOTALL)
    page.write_text(new)
