"""The scalar DateTime."""

from datetime import UTC, datetime

import strawberry

from app.api.errors import bad_input
from app.storage.columns import wire_time


def write_time(value: object) -> str:
    if not isinstance(value, datetime):
        raise TypeError(f"Not a time: {value!r}")
    return wire_time(value)


def read_time(value: object) -> datetime:
    """Return the time in UTC. Raise BAD_USER_INPUT for a text that is no time or has no offset from UTC."""
    if not isinstance(value, str):
        raise bad_input("A DateTime must be a string.")
    try:
        read = datetime.fromisoformat(value)
        if read.tzinfo is None:
            raise bad_input("A DateTime needs an offset from UTC, such as Z or +02:00.")
        return read.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise bad_input("A DateTime must be in ISO 8601, such as 2024-03-01T10:00:00Z.") from error


DATE_TIME = strawberry.scalar(
    name="DateTime",
    description=(
        "A time in ISO 8601. Output is UTC with microseconds: `2024-03-01T10:00:00.000000Z`. Input may "
        "have any offset from UTC. Input without an offset is refused with `BAD_USER_INPUT`."
    ),
    specified_by_url="https://scalars.graphql.org/chillicream/date-time.html",
    serialize=write_time,
    parse_value=read_time,
)
