"""Counters: sequences of numbers without gaps, for each customer. A rollback gives the numbers back."""

from sqlalchemy import ScalarSelect, bindparam, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.storage.columns import table
from app.storage.tables import CounterRow

counters = table(CounterRow)


async def next_number(connection: AsyncConnection, customer_id: str, name: str, count: int = 1) -> int:
    """Take the next `count` numbers. Return the last of them."""
    this = (counters.c.customer_id == customer_id) & (counters.c.name == name)
    taken = await connection.execute(
        update(counters).where(this).values(value=counters.c.value + count).returning(counters.c.value)
    )
    number: int | None = taken.scalar()
    if number is None:
        await connection.execute(insert(counters).values(customer_id=customer_id, name=name, value=count))
        return count
    return number


def upcoming_number(name: str) -> ScalarSelect[int]:
    """Return an expression for the number that `next_number` gives next to the customer in parameter `sequence_of`.

    Take the number in the same transaction. PostgreSQL locks the counter until the end of the transaction; SQLite has
    one writer.
    """
    this = (counters.c.customer_id == bindparam("sequence_of")) & (counters.c.name == name)
    last = select(counters.c.value).where(this).with_for_update().scalar_subquery()
    return select(func.coalesce(last, 0) + 1).scalar_subquery()


async def last_number(connection: AsyncConnection, customer_id: str, name: str) -> int:
    this = (counters.c.customer_id == customer_id) & (counters.c.name == name)
    return (await connection.execute(select(counters.c.value).where(this))).scalar() or 0
