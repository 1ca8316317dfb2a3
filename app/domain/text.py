"""Checks of ids, and of text for the database."""

import re

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def is_id(text: str) -> bool:
    """Return whether the text is a UUID in lower case. All ids are, so no other text needs a query."""
    return UUID.fullmatch(text) is not None


def is_storable(text: str) -> bool:
    """Return whether every database accepts this text. PostgreSQL refuses U+0000."""
    return "\0" not in text
