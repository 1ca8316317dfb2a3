"""An operation with a lot of work lets other operations run in between."""

import asyncio
from collections import Counter
from contextlib import suppress

from app.api.metering.turns import GROUP, Turns


async def passing(count: int, turns: Turns, objects: int = 1) -> Counter[int]:
    """Return how many tasks resume in each iteration of the event loop, when all wake up in the same one."""
    iteration, passed = 0, Counter[int]()

    async def one() -> None:
        await turns.next(objects)
        passed[iteration] += 1

    tasks = [asyncio.create_task(one()) for _ in range(count)]
    while not all(task.done() for task in tasks):
        await asyncio.sleep(0)
        iteration += 1
    return passed


async def test_few_go_on_at_once() -> None:
    assert list((await passing(100, Turns())).values()) == [100]


async def test_many_that_wake_at_once_go_on_some_at_a_time() -> None:
    passed = await passing(3_000, Turns(free=0))
    assert passed.total() == 3_000
    assert max(passed.values()) <= GROUP


async def test_those_with_more_to_do_are_fewer() -> None:
    assert max((await passing(100, Turns(free=0), GROUP // 10)).values()) <= 10


async def test_one_that_is_cancelled_does_not_keep_the_others() -> None:
    turns = Turns(free=0)
    first, *others = [asyncio.create_task(turns.next()) for _ in range(3 * GROUP)]
    await asyncio.sleep(0)
    first.cancel()
    with suppress(asyncio.CancelledError):
        await first
    async with asyncio.timeout(10):
        await asyncio.gather(*others)


async def test_a_later_crowd_waits_as_the_first_did() -> None:
    turns = Turns(free=0)
    for _ in range(2):
        assert max((await passing(2 * GROUP, turns)).values()) <= GROUP
