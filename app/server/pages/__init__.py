"""The pages for people: the landing page at / and the reference at /docs. `app/web/pages` has their sources."""

from pathlib import Path

PAGES = Path(__file__).parents[2] / "web" / "pages"
STATIC = PAGES / "static"
