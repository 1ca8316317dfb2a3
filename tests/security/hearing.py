"""What an API says to somebody, and where a subscription has come to."""

import asyncio
from typing import Any

from app.api.paging import event_cursors
from app.domain.viewer import Viewer
from tests import executing
from tests.security.walk import Json
from tests.security.world import EXECUTOR, Estate, Tenant

Told = tuple[Any, list[Any]]
"""The data and the errors of an answer."""


async def told(estate: Estate, who: Viewer, text: str, **variables: Any) -> Told:
    answer = await estate.answer(text, who, **variables)
    return answer.data, [error.formatted for error in answer.errors or []]


def whole(name: str, it: Tenant, variables: Json) -> list[Json]:
    """What to ask a subscription: from now on, and from the beginning where that can be asked for."""
    start = {"after": event_cursors(it.customer).encode(0)}
    return [variables, {**variables, **start}] if name == "transferEvents" else [variables]


async def heard(estate: Estate, who: Viewer, text: str, **variables: Any) -> list[Told]:
    """All that a subscription has to say by now."""
    results = executing.stream(EXECUTOR, text, estate.context(who), **variables)
    said: list[Told] = []
    try:
        while (result := await next_unless_quiet(estate, results)) is not None:
            said.append((getattr(result, "data", None), [error.formatted for error in result.errors]))
    finally:
        await results.aclose()
    return said


async def next_unless_quiet(estate: Estate, results: Any) -> Any:
    """None when it waits for something to happen, or has ended."""
    estate.broker.waiting.clear()
    coming = asyncio.ensure_future(anext(results, None))
    idle = asyncio.ensure_future(estate.broker.waiting.wait())
    async with asyncio.timeout(10):
        await asyncio.wait([coming, idle], return_when=asyncio.FIRST_COMPLETED)
    waited = coming if not coming.done() else idle
    waited.cancel()
    await asyncio.wait([waited])
    return None if coming.cancelled() else coming.result()
