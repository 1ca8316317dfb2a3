"""What one customer may have of the database at once, so that there is always some of it left for the others."""

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext
from weakref import WeakValueDictionary


class Shares:
    """So much for each; whoever asks for more waits for his own, and nobody else does."""

    def __init__(self, each: int) -> None:
        self._each = each
        self._taken: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()  # while somebody has or waits

    def one(self, customer_id: str | None) -> AbstractAsyncContextManager[None]:
        """None: the work is nobody's, but our own."""
        if customer_id is None:
            return nullcontext()
        share = self._taken.get(customer_id)
        if share is None:
            share = self._taken[customer_id] = asyncio.Semaphore(self._each)
        return share
