"""Transfers with consultation."""

import pytest

from tests.stories.desk import HELD, OPEN, Desk, Refused, audio, ending, leg


async def test_a_consultation_that_is_completed_connects_caller_and_destination(desk: Desk) -> None:
    talk = await desk.talk()
    t = await desk.until(await desk.start(talk, "0100"), "CONSULTING")
    assert audio(await desk.party(talk.caller)) == HELD
    assert (t["speakingTo"], t["transfereeCallId"]) == ("DESTINATION", leg(t))
    await desk.tell(t, "complete")
    done = await desk.until_ended(t)
    assert ending(done) == ("COMPLETED", None, None, "CLIENT")
    assert audio(await desk.party(talk.caller)) == OPEN
    assert (await desk.party(talk.agent))["status"] == "HANGUP"
    for party in (talk.caller, leg(done)):
        assert (await desk.party(party))["confbridgeId"] == talk.bridge


async def test_each_step_is_an_event(desk: Desk) -> None:
    talk = await desk.talk()
    t = await desk.until(await desk.start(talk, "0100"), "CONSULTING")
    await desk.tell(t, "complete")
    await desk.until_ended(t)
    story = await desk.story(t)
    assert [step for step in story if step[0] != "ATTEMPT"] == [
        ("STARTED", "STARTING"),
        ("STATUS", "RINGING"),
        ("STATUS", "CONSULTING"),
        ("STATUS", "ENDING"),
        ("STATUS", "COMPLETED"),
    ]


async def test_hanging_up_completes_the_consultation(desk: Desk) -> None:
    """The held party, who was muted, is heard again."""
    talk = await desk.talk()
    t = await desk.until(await desk.start(talk, "0101"), "CONSULTING")
    await desk.simulate("Hangup", talk.agent)
    assert ending(await desk.until_ended(t)) == ("COMPLETED", None, None, "TRANSFERER")
    assert audio(await desk.party(talk.caller)) == OPEN


@pytest.mark.parametrize(
    ("digits", "reason"),
    [("0102", "BUSY"), ("0104", "DECLINED"), ("0105", "UNREACHABLE")],
)
async def test_a_destination_that_is_not_reached_gives_the_call_back(desk: Desk, digits: str, reason: str) -> None:
    talk = await desk.talk()
    done = await desk.until_ended(await desk.start(talk, digits))
    assert ending(done) == ("FAILED", reason, "RETURNED", "DESTINATION")
    for party in (talk.caller, talk.agent):
        seen = await desk.party(party)
        assert (seen["status"], audio(seen)) == ("PROGRESSING", OPEN)


async def test_a_destination_that_rings_too_long(desk: Desk) -> None:
    talk = await desk.talk()
    done = await desk.until_ended(await desk.start(talk, "0103", ringTimeout=1))
    assert ending(done) == ("FAILED", "TIMEOUT", "RETURNED", "SYSTEM")
    assert done["attempts"][0]["outcome"] == "TIMEOUT"
    assert (await desk.party(leg(done)))["status"] == "HANGUP"


async def test_a_transfer_can_be_cancelled_while_it_rings(desk: Desk) -> None:
    talk = await desk.talk()
    t = await desk.until_rings(await desk.start(talk, "0107"))
    await desk.tell(t, "cancel")
    done = await desk.until_ended(t)
    assert ending(done) == ("CANCELLED", "COMMAND", None, "CLIENT")
    assert (await desk.party(leg(done)))["status"] == "HANGUP"
    assert audio(await desk.party(talk.caller)) == OPEN


async def test_a_cancelled_consultation_returns_to_the_caller(desk: Desk) -> None:
    talk = await desk.talk()
    t = await desk.until(await desk.start(talk, "0101"), "CONSULTING")
    await desk.tell(t, "cancel")
    assert ending(await desk.until_ended(t)) == ("CANCELLED", "COMMAND", None, "CLIENT")
    assert (await desk.tell(t, "cancel"))["status"] == "CANCELLED"  # a repeated cancel succeeds
    with pytest.raises(Refused) as refused:
        await desk.tell(t, "complete")
    assert refused.value.code == "ILLEGAL_TRANSITION"
    assert refused.value.transfer is not None
    assert refused.value.transfer["status"] == "CANCELLED"


async def test_the_destination_hangs_up_during_the_consultation(desk: Desk) -> None:
    talk = await desk.talk()
    t = await desk.until(await desk.start(talk, "0101"), "CONSULTING")
    await desk.simulate("Hangup", leg(t))
    assert ending(await desk.until_ended(t)) == ("FAILED", "DESTINATION_HANGUP", "RETURNED", "DESTINATION")


async def test_a_consultation_that_lasts_too_long(desk: Desk) -> None:
    talk = await desk.talk()
    done = await desk.until_ended(await desk.start(talk, "0101", consultTimeout=1))
    assert ending(done) == ("FAILED", "CONSULT_TIMEOUT", "RETURNED", "SYSTEM")


async def test_the_caller_hangs_up_during_the_consultation(desk: Desk) -> None:
    """The transferer and the destination stay connected."""
    talk = await desk.talk()
    t = await desk.until(await desk.start(talk, "0101"), "CONSULTING")
    await desk.simulate("Hangup", talk.caller)
    done = await desk.until_ended(t)
    assert ending(done) == ("ABANDONED", "HELD_HANGUP", None, "HELD")
    for party in (talk.agent, leg(t)):
        assert (await desk.party(party))["status"] == "PROGRESSING"


async def test_swap_alternates_between_caller_and_destination(desk: Desk) -> None:
    talk = await desk.talk()
    t = await desk.until(await desk.start(talk, "0101"), "CONSULTING")
    t = await desk.tell(t, "swap", speakTo="HELD")
    assert t["speakingTo"] == "HELD"
    assert audio(await desk.party(talk.caller)) == OPEN
    assert audio(await desk.party(leg(t))) == HELD
    t = await desk.tell(t, "swap", speakTo="DESTINATION")
    assert audio(await desk.party(talk.caller)) == HELD
    assert audio(await desk.party(leg(t))) == OPEN
    assert (await desk.tell(t, "swap", speakTo="DESTINATION"))["version"] == t["version"]


async def test_swap_while_it_rings_keeps_the_answering_destination_apart(desk: Desk) -> None:
    talk = await desk.talk()
    t = await desk.until_rings(await desk.start(talk, "0107"))
    await desk.tell(t, "swap", speakTo="HELD")
    assert audio(await desk.party(talk.caller)) == OPEN
    await desk.simulate("Answer", leg(t))
    t = await desk.until(t, "CONSULTING")
    t = await desk.tell(t, "swap", speakTo="HELD")  # no change; the orders of the first swap are now carried out
    assert t["speakingTo"] == "HELD"
    await desk.tell(t, "complete")
    assert ending(await desk.until_ended(t))[0] == "COMPLETED"


async def test_merge_makes_a_three_way_call(desk: Desk) -> None:
    talk = await desk.talk()
    t = await desk.until(await desk.start(talk, "0101", consultTimeout=60), "CONSULTING")
    t = await desk.tell(t, "merge")
    assert (t["status"], t["speakingTo"], t["tmDeadline"]) == ("MERGED", "ALL", None)
    for party in (talk.caller, talk.agent, leg(t)):
        assert audio(await desk.party(party)) == OPEN
    await desk.simulate("Hangup", talk.agent)
    assert ending(await desk.until_ended(t)) == ("COMPLETED", None, None, "TRANSFERER")


async def test_a_hold_and_mute_of_the_users_own_is_still_there_afterwards(desk: Desk) -> None:
    talk = await desk.talk()
    await desk.simulate("Hold", talk.caller, isOnHold=True, muteDirection="OUT")
    t = await desk.until(await desk.start(talk, "0101"), "CONSULTING")
    t = await desk.tell(t, "merge")
    assert audio(await desk.party(talk.caller)) == OPEN  # a merge overrides the caller's own hold
    await desk.tell(t, "cancel")
    await desk.until_ended(t)
    assert audio(await desk.party(talk.caller)) == (True, "OUT")


async def test_a_call_that_was_transferred_can_be_transferred_again(desk: Desk) -> None:
    talk = await desk.talk()
    t = await desk.until(await desk.start(talk, "0101"), "CONSULTING")
    await desk.tell(t, "complete")
    done = await desk.until_ended(t)
    moved = type(talk)(talk.caller, leg(done), talk.bridge)
    again = await desk.start(moved, "0107")
    assert again["previousTransfer"] == {"id": done["id"]}
