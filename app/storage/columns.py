"""The column type of times, and access to the tables and columns of models."""

from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, Dialect, String, Table, TypeDecorator, type_coerce
from sqlmodel import SQLModel


class Timestamp(TypeDecorator[datetime]):
    """A time as text: in UTC, with microseconds and a Z, so that text order is time order."""

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
    """Return the model's table. Statements read its columns, never model objects."""
    return cast(Table, vars(model)["__table__"])


def unsought(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the column's value as an expression that no index has.

    It keeps the database from using an index of this column. Use it where another condition leaves few rows: without
    statistics, SQLite would prefer to read the whole history of a customer in list order.
    """
    return type_coerce(type_coerce(column, String).concat(""), column.type)
