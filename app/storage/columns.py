"""What every table is made of: the type of a time, and the access to a model's table and columns."""

from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, Dialect, String, Table, TypeDecorator, type_coerce
from sqlmodel import SQLModel


class Timestamp(TypeDecorator[datetime]):
    """UTC, with microseconds and a Z: sorts as it reads."""

    impl = String(27)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        return None if value is None else wire_time(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:
        return None if value is None else datetime.fromisoformat(value)


metadata = SQLModel.metadata


def wire_time(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"


def table(model: type[SQLModel]) -> Table:
    """The model's table, for statements: what is read are columns, never objects."""
    return cast(Table, vars(model)["__table__"])


def unsought(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """The column's value as an expression, which no index has.

    For where another condition leaves few rows, and a database that does not know would rather walk through the whole
    history of a customer, in the order of the list, looking for them.
    """
    return type_coerce(type_coerce(column, String).concat(""), column.type)
