"""Starts of transfers, repeated starts, and the guards."""

from typing import Any
from uuid import uuid4

import pytest

from tests.stories.desk import Desk, Refused, leg, tel

pytestmark = pytest.mark.slow


async def test_a_repeated_start_is_the_same_transfer(desk: Desk) -> None:
    talk = await desk.talk()
    first = await desk.start(talk, "0101", idempotencyKey="once")
    again = await desk.start(talk, "0101", idempotencyKey="once")
    assert again["id"] == first["id"]
    await desk.until(first, "CONSULTING")
    assert len((await desk.see(first))["attempts"]) == 1


async def test_a_repeated_start_is_the_same_whatever_has_become_of_the_call(desk: Desk) -> None:
    talk = await desk.talk()
    done = await desk.until_ended(await desk.start(talk, "0101", type="BLIND", idempotencyKey="once"))
    assert (await desk.start(talk, "0101", type="BLIND", idempotencyKey="once"))["id"] == done["id"]


async def test_the_same_key_with_another_input_is_a_conflict(desk: Desk) -> None:
    talk = await desk.talk()
    first = await desk.start(talk, "0101", idempotencyKey="once")
    with pytest.raises(Refused) as refused:
        await desk.start(talk, "0102", idempotencyKey="once")
    assert refused.value.code == "IDEMPOTENCY_CONFLICT"
    assert refused.value.error["transfer"] == {"id": first["id"]}


async def test_the_same_key_with_more_than_can_be_asked_for_is_a_conflict_too(desk: Desk) -> None:
    talk = await desk.talk()
    await desk.start(talk, "0101", idempotencyKey="once")
    for change in ({"transfereeAddresses": [tel("+1555")] * 1_000}, {"metadata": [{"key": "k", "value": "v"}] * 1_000}):
        with pytest.raises(Refused) as refused:
            await desk.start(talk, "0101", idempotencyKey="once", **change)
        assert refused.value.code == "IDEMPOTENCY_CONFLICT"


@pytest.mark.parametrize("kind", ["ATTENDED", "BLIND"])
async def test_a_transferer_who_hangs_up_as_soon_as_the_start_is_answered_loses_nobody(desk: Desk, kind: str) -> None:
    for _ in range(5):
        talk = await desk.talk()
        t = await desk.start(talk, "0100", type=kind)
        await desk.simulate("Hangup", talk.agent)
        done = await desk.until_ended(t)
        assert (done["status"], done["transfereeCallId"]) == ("COMPLETED", leg(done))
        assert (await desk.party(talk.caller))["status"] == "PROGRESSING"


async def test_one_live_transfer_per_call(desk: Desk) -> None:
    talk = await desk.talk()
    first = await desk.start(talk, "0107")
    with pytest.raises(Refused) as refused:
        await desk.start(talk, "0101")
    assert refused.value.code == "ALREADY_TRANSFERRING"
    assert refused.value.error["transfer"] == {"id": first["id"]}
    assert refused.value.transfer is None


async def test_the_other_party_of_the_bridge_can_not_start_one_either(desk: Desk) -> None:
    talk = await desk.talk()
    await desk.start(talk, "0107")
    with pytest.raises(Refused) as refused:
        await desk.start(type(talk)(talk.agent, talk.caller, talk.bridge), "0101")
    assert refused.value.code == "ALREADY_TRANSFERRING"


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"transfereeAddresses": []}, "NO_ADDRESS", ["input", "transfereeAddresses"]),
        ({"transfereeAddresses": [tel("+1555")] * 11}, "TOO_MANY_ADDRESSES", ["input", "transfereeAddresses"]),
        ({"transfereeAddresses": [tel("5551")]}, "INVALID_ADDRESS", ["input", "transfereeAddresses", "0", "target"]),
        (
            {"transfereeAddresses": [tel("+15558000101"), {"type": "EMAIL", "target": "a@b.c"}]},
            "NOT_DIALABLE",
            ["input", "transfereeAddresses", "1", "type"],
        ),
        (
            {"transfereeAddresses": [tel("+15558000101"), tel("+1 (555) 800-0101")]},
            "INVALID_ADDRESS",
            ["input", "transfereeAddresses", "1"],
        ),
        ({"transfereeAddresses": [tel("+15557000001")]}, "SAME_PARTY", ["input", "transfereeAddresses", "0"]),
        ({"ringTimeout": 0}, "OUT_OF_RANGE", ["input", "ringTimeout"]),
        ({"consultTimeout": 601}, "OUT_OF_RANGE", ["input", "consultTimeout"]),
        ({"note": "x" * 2001}, "INVALID_INPUT", ["input", "note"]),
        ({"transfererCallId": str(uuid4())}, "NOT_FOUND", ["input", "transfererCallId"]),
        ({"transfererCallId": "no id"}, "NOT_FOUND", ["input", "transfererCallId"]),
        ({"idempotencyKey": ""}, "INVALID_INPUT", ["input", "idempotencyKey"]),
        ({"metadata": [{"key": "", "value": "x"}]}, "INVALID_INPUT", ["input", "metadata", "0", "key"]),
    ],
)
async def test_what_can_not_be_started(desk: Desk, change: dict[str, Any], code: str, field: list[str]) -> None:
    talk = await desk.talk()
    with pytest.raises(Refused) as refused:
        await desk.start(talk, "0101", **change)
    assert (refused.value.code, refused.value.error["field"]) == (code, field)
    nothing = await desk.client.ask("{ transfers { totalCount } groupcalls { totalCount } calls { totalCount } }")
    assert [nothing[name]["totalCount"] for name in ("transfers", "groupcalls", "calls")] == [0, 0, 2]


async def test_a_call_that_is_over_can_not_be_transferred(desk: Desk) -> None:
    talk = await desk.talk()
    await desk.simulate("Hangup", talk.caller)
    with pytest.raises(Refused) as refused:
        await desk.start(talk, "0101")
    assert refused.value.code == "CALL_NOT_PROGRESSING"


async def test_another_tenants_call_and_an_unknown_one_look_alike(desk: Desk) -> None:
    talk = await desk.talk()
    stranger = Desk(type(desk.client)(desk.client.url))
    with pytest.raises(Refused) as foreign:
        await stranger.start(talk, "0101")
    with pytest.raises(Refused) as unknown:
        await stranger.start(type(talk)("", str(uuid4()), ""), "0101")
    assert foreign.value.error == unknown.value.error


async def test_note_and_metadata_travel_with_the_transfer(desk: Desk) -> None:
    talk = await desk.talk()
    t = await desk.start(talk, "0107", note="Prefers e-mail", metadata=[{"key": "ticket", "value": "42"}])
    assert t["note"] == "Prefers e-mail"
    assert (await desk.tell(t, "update", note=None))["note"] is None
    query = "query ($id: ID!) { transfer(id: $id) { metadata { key value } } }"
    assert (await desk.client.ask(query, id=t["id"]))["transfer"]["metadata"] == [{"key": "ticket", "value": "42"}]


async def test_history_stays_and_can_be_deleted(desk: Desk) -> None:
    talk = await desk.talk()
    t = await desk.start(talk, "0107")
    with pytest.raises(Refused) as refused:
        await desk.tell(t, "delete")
    assert refused.value.code == "ILLEGAL_TRANSITION"
    await desk.tell(t, "cancel")
    await desk.until_ended(t)
    count = "query ($deleted: Boolean!) { transfers(filter: {includeDeleted: $deleted}) { totalCount } }"
    assert (await desk.client.ask(count, deleted=False))["transfers"]["totalCount"] == 1
    assert (await desk.tell(t, "delete"))["allowedCommands"] == []
    await desk.tell(t, "delete")
    assert (await desk.client.ask(count, deleted=False))["transfers"]["totalCount"] == 0
    assert (await desk.client.ask(count, deleted=True))["transfers"]["totalCount"] == 1
    assert (await desk.story(t))[-1] == ("DELETED", "CANCELLED")
