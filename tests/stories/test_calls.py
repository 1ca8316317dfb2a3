"""The changes of calls that a client follows during a transfer."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from tests.serving import Json
from tests.stories.desk import HELD, OPEN, Desk, Talk, audio, leg

FOLLOWED = """subscription ($bridge: ID!) {
    callChanged(filter: {confbridgeId: $bridge}) {
        kind call { id version isOnHold muteDirection transferRole transfer { id } }
    }
}"""


async def until(changes: AsyncIterator[Json], call_id: str, **wanted: Any) -> Json:
    """Return the first change of this call after which its fields have these values."""
    async for change in changes:
        call = change["callChanged"]["call"]
        if call and call["id"] == call_id and all(call[name] == value for name, value in wanted.items()):
            return dict(call)
    raise AssertionError("the stream has ended")


async def ready(changes: AsyncIterator[Json]) -> None:
    async for change in changes:
        if change["callChanged"]["kind"] == "READY":
            return


async def test_a_call_changes_when_its_transfer_begins_and_when_it_ends(desk: Desk) -> None:
    talk = await desk.talk()
    async with asyncio.timeout(20), desk.client.follow(FOLLOWED, bridge=talk.bridge) as changes:
        await ready(changes)
        t = await desk.until_rings(await desk.start(talk, "0107"))
        began = await until(changes, talk.caller, transfer={"id": t["id"]})
        assert began["transferRole"] == "HELD"
        await desk.tell(t, "cancel")
        ended = await until(changes, talk.caller, transfer=None)
    assert ended["transferRole"] is None
    assert ended["version"] > began["version"]
    assert ended["version"] == (await version(desk, talk))


async def version(desk: Desk, talk: Talk) -> int:
    call = await desk.client.ask("query ($id: ID!) { call(id: $id) { version } }", id=talk.caller)
    return int(call["call"]["version"])


async def test_after_a_swap_the_calls_tell_who_waits_once_the_exchange_has_confirmed_it(desk: Desk) -> None:
    """Clients that follow the bridge's calls see the hold that the event `SPEAKING_TO` decided."""
    talk = await desk.talk()
    t = await desk.until(await desk.start(talk, "0101"), "CONSULTING")
    async with asyncio.timeout(20), desk.client.follow(FOLLOWED, bridge=talk.bridge) as changes:
        await ready(changes)
        for side, caller, destination in (("HELD", OPEN, HELD), ("DESTINATION", HELD, OPEN)):
            t = await desk.tell(t, "swap", speakTo=side)
            told = {talk.caller: caller, leg(t): destination}
            async for change in changes:
                call = change["callChanged"]["call"]
                if audio(call) == told.get(call["id"]):
                    del told[call["id"]]
                if not told:
                    break
