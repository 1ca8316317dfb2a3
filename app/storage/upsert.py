"""One conditional statement that inserts a row, or updates it when the new row is news."""

from collections.abc import Callable
from functools import cache
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Executable, ScalarSelect, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.base import ReadOnlyColumnCollection

Columns: TypeAlias = ReadOnlyColumnCollection[str, Any]
Test: TypeAlias = Callable[[Columns, Columns], ColumnElement[bool]]
"""Compares the stored row with the new one."""


def is_newer(stored: Columns, new: Columns) -> ColumnElement[bool]:
    """The engine counts the changes of what it reports. Reports may arrive late or twice."""
    newer: ColumnElement[bool] = stored.revision < new.revision
    return newer


async def save(
    connection: AsyncConnection, table: Table, row: dict[str, Any], is_news: Test, seq: ScalarSelect[int] | None = None
) -> bool:
    """Write the row, and return whether it was news. The version counts the times that it was.

    The database compares and writes in one step, so that no other writer can come in between. `seq`: an expression for
    the column of that name, whose parameters are in `row`.
    """
    statement = _statement(connection.dialect.name, table, is_news, seq)
    return (await connection.execute(statement, row | {"version": 1})).first() is not None


@cache
def _statement(dialect: str, table: Table, is_news: Test, seq: ScalarSelect[int] | None) -> Executable:
    insert = _insert(dialect, table).values({} if seq is None else {"seq": seq})
    new = {column.name: insert.excluded[column.name] for column in table.c if column.name != "id"}
    return insert.on_conflict_do_update(
        index_elements=["id"],
        set_=new | {"version": table.c.version + 1},
        where=is_news(table.c, insert.excluded),
    ).returning(table.c.version)


def _insert(dialect: str, table: Table) -> sqlite.Insert | postgresql.Insert:
    """SQLAlchemy's common `insert` has no ON CONFLICT."""
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
