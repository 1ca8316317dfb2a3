"""Several destinations, dialled all at once or one after the other."""

import asyncio

import pytest

from tests.stories.desk import Desk, ending, leg

pytestmark = pytest.mark.slow


async def test_of_two_answers_one_wins(desk: Desk) -> None:
    """When two phones are answered at the same moment, exactly one destination is connected."""
    for first, second in ((0, 1), (1, 0)):
        talk = await desk.talk()
        t = await desk.start(talk, "0107", "1107")
        t = await desk.until_rings(await desk.until_rings(t, 0), 1)
        await asyncio.gather(
            *(desk.simulate("Answer", leg(t, number)) for number in (first, second)), return_exceptions=True
        )
        t = await desk.until(t, "CONSULTING")
        assert {a["outcome"] for a in t["attempts"]} == {"ANSWERED", "ANSWERED_ELSEWHERE"}
        await desk.tell(t, "complete")
        done = await desk.until_ended(t)
        up = [(await desk.party(leg(done, number)))["status"] for number in (0, 1)]
        assert sorted(up) == ["HANGUP", "PROGRESSING"]


async def test_a_linear_hunt_takes_one_after_the_other(desk: Desk) -> None:
    talk = await desk.talk()
    done = await desk.until(await desk.start(talk, "0102", "0105", "0101", ringMethod="LINEAR"), "CONSULTING")
    assert [a["outcome"] for a in done["attempts"]] == ["BUSY", "UNREACHABLE", "ANSWERED"]


async def test_a_linear_hunt_that_finds_nobody_ends_with_the_last_one_s_reason(desk: Desk) -> None:
    talk = await desk.talk()
    done = await desk.until_ended(await desk.start(talk, "0102", "0104", ringMethod="LINEAR"))
    assert ending(done) == ("FAILED", "DECLINED", "RETURNED", "DESTINATION")


async def test_each_destination_of_a_linear_hunt_rings_for_its_own_time(desk: Desk) -> None:
    talk = await desk.talk()
    t = await desk.start(talk, "0103", "0107", ringMethod="LINEAR", ringTimeout=1)
    t = await desk.until(t, "RINGING", when=lambda seen: len(seen["attempts"]) == 2)
    assert t["attempts"][0]["outcome"] == "TIMEOUT"


async def test_mixed_failures_of_a_ring_all_read_as_the_first_in_rank(desk: Desk) -> None:
    talk = await desk.talk()
    done = await desk.until_ended(await desk.start(talk, "0105", "0102", "0104"))
    assert done["outcomeReason"] == "BUSY"


async def test_the_groupcall_follows(desk: Desk) -> None:
    talk = await desk.talk()
    t = await desk.until(await desk.start(talk, "0107", "0101"), "CONSULTING")
    query = "query ($id: ID!) { groupcall(id: $id) { status callIds answerCall { id } transfer { id } } }"
    seen = (await desk.client.ask(query, id=t["groupcallId"]))["groupcall"]
    assert seen["answerCall"]["id"] == leg(t, 1)
    assert (seen["status"], seen["transfer"]["id"], len(seen["callIds"])) == ("PROGRESSING", t["id"], 2)
    await desk.tell(t, "cancel")
    await desk.until_ended(t)
    assert (await desk.client.ask(query, id=t["groupcallId"]))["groupcall"]["status"] == "HANGUP"
