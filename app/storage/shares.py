"""Shares of the database: the limit on one customer's work at a time, so that other customers can work, too."""

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext
from weakref import WeakValueDictionary


class Shares:
    """A limit for each customer. Work beyond it waits for the same customer's earlier work, and for nobody else's."""

    def __init__(self, each: int) -> None:
        self._each = each
        self._taken: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()  # kept while in use

    def one(self, customer_id: str | None) -> AbstractAsyncContextManager[None]:
        """Return a context that holds one share. None is our own work, which has no limit."""
        if customer_id is None:
            return nullcontext()
        share = self._taken.get(customer_id)
        if share is None:
            share = self._taken[customer_id] = asyncio.Semaphore(self._each)
        return share
