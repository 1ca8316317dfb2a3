"""Transfers of a call with more than two parties."""

import pytest

from tests.stories.desk import HELD, OPEN, Desk, audio, ending

pytestmark = pytest.mark.slow

PARTY = "+15557000003"


async def test_every_other_party_is_held(desk: Desk) -> None:
    talk = await desk.talk("+15557000001", PARTY)
    t = await desk.until(await desk.start(talk, "0101"), "CONSULTING")
    assert len(t["heldCallIds"]) == 2
    for held in t["heldCallIds"]:
        assert audio(await desk.party(held)) == HELD


async def test_one_of_several_held_parties_leaves(desk: Desk) -> None:
    talk = await desk.talk("+15557000001", PARTY)
    t = await desk.until(await desk.start(talk, "0101"), "CONSULTING")
    await desk.simulate("Hangup", talk.caller)
    await desk.until(t, "CONSULTING", when=lambda seen: talk.caller not in seen["heldCallIds"])
    await desk.tell(t, "complete")
    assert ending(await desk.until_ended(t))[0] == "COMPLETED"


async def test_a_transfer_of_the_past_ends_no_conference(desk: Desk) -> None:
    """When the transferer hangs up later, nobody else is affected."""
    talk = await desk.talk("+15557000001", PARTY)
    t = await desk.until_ended(await desk.start(talk, "0102"))
    assert t["status"] == "FAILED"
    await desk.simulate("Hangup", talk.agent)
    for held in t["heldCallIds"]:
        seen = await desk.party(held)
        assert (seen["status"], audio(seen)) == ("PROGRESSING", OPEN)


async def test_several_callers_are_released_together(desk: Desk) -> None:
    talk = await desk.talk("+15557000001", PARTY)
    t = await desk.start(talk, "0107", type="BLIND", onFailure="RELEASE")
    t = await desk.until(t, "TRANSFERRING")
    await desk.simulate("Reject", t["attempts"][0]["callId"], reason="BUSY")
    t = await desk.until_ended(t)
    assert t["disposition"] == "RELEASED"
    for held in t["heldCallIds"]:
        assert (await desk.party(held))["status"] == "PROGRESSING"
