"""Blind transfers, and what happens to them when nobody answers."""

from functools import partial

import pytest

from tests.serving import Json
from tests.stories.desk import OPEN, Desk, Refused, audio, ending, leg

pytestmark = pytest.mark.slow

BLIND = {"type": "BLIND"}


async def test_a_blind_transfer_connects_caller_and_destination(desk: Desk) -> None:
    talk = await desk.talk()
    done = await desk.until_ended(await desk.start(talk, "0100", **BLIND))
    assert ending(done) == ("COMPLETED", None, None, "DESTINATION")
    assert (await desk.party(talk.agent))["status"] == "HANGUP"
    for party in (talk.caller, leg(done)):
        seen = await desk.party(party)
        assert (seen["status"], audio(seen), seen["confbridgeId"]) == ("PROGRESSING", OPEN, talk.bridge)


async def test_the_transferer_stays_until_the_destination_is_known_to_be_good(desk: Desk) -> None:
    """When the destination is busy or unreachable, no party is hung up."""
    for digits, reason in (("0102", "BUSY"), ("0105", "UNREACHABLE")):
        talk = await desk.talk()
        done = await desk.until_ended(await desk.start(talk, digits, **BLIND))
        assert ending(done)[0] == "FAILED"
        assert done["outcomeReason"] == reason
        if done["disposition"] == "RETURNED":
            assert (await desk.party(talk.agent))["status"] == "PROGRESSING"


async def test_the_transferer_is_rung_back_when_nobody_answers(desk: Desk) -> None:
    talk = await desk.talk()
    t = await desk.start(talk, "0103", ringTimeout=1, **BLIND)
    recalling = await desk.until(t, "RECALLING")
    assert (recalling["recallAttempts"], recalling["outcomeReason"]) == (1, "TIMEOUT")
    recall = await _recall_leg(desk, recalling)
    await desk.simulate("Answer", recall)
    done = await desk.until_ended(t)
    assert ending(done) == ("FAILED", "TIMEOUT", "RECALLED", "SYSTEM")
    for party in (talk.caller, recall):
        seen = await desk.party(party)
        assert (audio(seen), seen["confbridgeId"]) == (OPEN, talk.bridge)


async def test_after_three_recalls_the_caller_is_released(desk: Desk) -> None:
    talk = await desk.talk()
    t = await desk.until_rings(await desk.start(talk, "0107", ringTimeout=600, **BLIND))
    await desk.simulate("Reject", leg(t), reason="BUSY")
    for attempt in (1, 2, 3):
        recalling = await desk.until(t, "RECALLING", when=partial(recalled, attempt))
        await desk.simulate("Reject", await _recall_leg(desk, recalling), reason="DECLINED")
    done = await desk.until_ended(t)
    assert ending(done) == ("FAILED", "BUSY", "RELEASED", "DESTINATION")
    assert (await desk.party(talk.caller))["status"] == "HANGUP"


async def test_the_caller_is_released_at_once_when_so_asked(desk: Desk) -> None:
    talk = await desk.talk()
    t = await desk.start(talk, "0107", onFailure="RELEASE", **BLIND)
    t = await desk.until(t, "TRANSFERRING")
    await desk.simulate("Reject", leg(t), reason="NO_ANSWER")
    assert ending(await desk.until_ended(t)) == ("FAILED", "NO_ANSWER", "RELEASED", "DESTINATION")


async def test_a_cancel_brings_the_transferer_back(desk: Desk) -> None:
    talk = await desk.talk()
    t = await desk.until(await desk.start(talk, "0107", onFailure="RELEASE", **BLIND), "TRANSFERRING")
    t = await desk.tell(t, "cancel")
    assert t["status"] == "RECALLING"
    with pytest.raises(Refused) as refused:
        await desk.tell(t, "cancel")
    assert refused.value.code == "ILLEGAL_TRANSITION"
    await desk.simulate("Answer", await _recall_leg(desk, t))
    assert ending(await desk.until_ended(t)) == ("FAILED", "COMMAND", "RECALLED", "CLIENT")


async def test_a_caller_who_hangs_up_stops_the_ringing(desk: Desk) -> None:
    talk = await desk.talk()
    t = await desk.until(await desk.start(talk, "0107", **BLIND), "TRANSFERRING")
    await desk.simulate("Hangup", talk.caller)
    assert ending(await desk.until_ended(t)) == ("ABANDONED", "HELD_HANGUP", None, "HELD")
    assert (await desk.party(leg(t)))["status"] == "HANGUP"


async def test_a_transferer_who_leaves_while_it_rings_leaves_the_caller_ringing(desk: Desk) -> None:
    """The caller's bridge stays, and the destination's phone rings on until it is answered."""
    talk = await desk.talk()
    t = await desk.until_rings(await desk.start(talk, "0107"))
    await desk.simulate("Hangup", talk.agent)
    t = await desk.until(t, "TRANSFERRING")
    assert (await desk.party(talk.caller))["status"] == "PROGRESSING"
    await desk.simulate("Answer", leg(t))
    assert ending(await desk.until_ended(t)) == ("COMPLETED", None, None, "DESTINATION")
    assert audio(await desk.party(talk.caller)) == OPEN


async def test_completing_while_it_rings_makes_it_blind(desk: Desk) -> None:
    talk = await desk.talk()
    t = await desk.until_rings(await desk.start(talk, "0107"))
    t = await desk.tell(t, "complete")
    assert t["status"] == "TRANSFERRING"
    assert (await desk.tell(t, "complete"))["version"] == (await desk.see(t))["version"]


async def test_a_destination_that_answers_and_hangs_up_before_start_has_returned(desk: Desk) -> None:
    """Reports can arrive before the start has returned. None is lost."""
    for digits in ("0101", "0105", "0106"):
        talk = await desk.talk()
        done = await desk.until_ended(await desk.start(talk, digits, **BLIND))
        assert done["status"] == ("FAILED" if digits == "0105" else "COMPLETED")


def recalled(times: int, seen: Json) -> bool:
    return bool(seen["recallAttempts"] == times)


async def _recall_leg(desk: Desk, transfer: Json) -> str:
    """Return the id of the recall's call, once it rings."""
    query = """subscription {
        callChanged(filter: {statuses: [RINGING]}) { call { id transferRole transfer { id } } }
    }"""
    async with desk.client.follow(query) as changes:
        async for event in changes:
            call = event["callChanged"]["call"]
            if call and call["transferRole"] == "TRANSFERER" and call["transfer"]["id"] == transfer["id"]:
                return str(call["id"])
    raise AssertionError("nobody is rung back")
