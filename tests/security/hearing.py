"""Responses of the API to a viewer, and the messages of a subscription until it waits."""

import asyncio
from typing import Any

from app.api.paging import event_cursors
from app.domain.viewer import Viewer
from tests import executing
from tests.security.walk import Json
from tests.security.world import EXECUTOR, Estate, Tenant

Told = tuple[Any, list[Any]]
"""The data and the errors of a response."""


async def told(estate: Estate, who: Viewer, text: str, **variables: Any) -> Told:
    answer = await estate.answer(text, who, **variables)
    return answer.data, [error.formatted for error in answer.errors or []]


def whole(name: str, it: Tenant, variables: Json) -> list[Json]:
    """Return the variables to subscribe with: from now on and, where it is possible, from the beginning."""
    start = {"after": event_cursors(it.customer).encode(0)}
    return [variables, {**variables, **start}] if name == "transferEvents" else [variables]


async def heard(estate: Estate, who: Viewer, text: str, **variables: Any) -> list[Told]:
    """Return every message that a subscription sends until it waits or ends."""
    results = executing.stream(EXECUTOR, text, estate.context(who), **variables)
    said: list[Told] = []
    try:
        while (result := await next_unless_quiet(estate, results)) is not None:
            said.append((getattr(result, "data", None), [error.formatted for error in result.errors]))
    finally:
        await results.aclose()
    return said


async def next_unless_quiet(estate: Estate, results: Any) -> Any:
    """Return the next message. None: the subscription waits for a wake-up, or has ended."""
    estate.broker.waiting.clear()
    coming = asyncio.ensure_future(anext(results, None))
    idle = asyncio.ensure_future(estate.broker.waiting.wait())
    async with asyncio.timeout(10):
        await asyncio.wait([coming, idle], return_when=asyncio.FIRST_COMPLETED)
    waited = coming if not coming.done() else idle
    waited.cancel()
    await asyncio.wait([waited])
    return None if coming.cancelled() else coming.result()
