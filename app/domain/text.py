"""Text that every database can keep, and ids."""

import re

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def is_id(text: str) -> bool:
    """Return whether something can have this id. Ids are UUIDs, and whatever else need not be looked for."""
    return UUID.fullmatch(text) is not None


def is_storable(text: str) -> bool:
    """Return whether a database can be asked about this text. PostgreSQL has no text with U+0000."""
    return "\0" not in text
