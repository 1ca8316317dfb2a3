"""Lookups by id, permissions, and that nothing of another customer is visible."""

import pytest

from app.domain.transfer import Status
from app.domain.viewer import Permission
from tests.api.archive import OTHER_CUSTOMER, Archive
from tests.builders import (
    BRIDGE,
    CUSTOMER,
    HELD,
    LEG,
    NOON,
    TRANSFER,
    TRANSFERER,
    bridge,
    call,
    ended,
    leg,
    transfer,
    viewer,
)

READS_TRANSFERS = viewer(CUSTOMER, Permission.TRANSFERS_READ)
READS_CALLS = viewer(CUSTOMER, Permission.CALLS_READ)
GROUPCALL = transfer().groupcall_id
IDS = {"transfer": TRANSFER, "call": TRANSFERER, "groupcall": GROUPCALL, "conference": BRIDGE}


async def house(archive: Archive) -> None:
    await archive.keep(transfer(), call(), call(HELD), leg(), bridge())


@pytest.mark.parametrize(("field", "id_"), IDS.items())
async def test_everything_is_found_by_its_id(archive: Archive, field: str, id_: str) -> None:
    await house(archive)
    query = f"query ($id: ID!) {{ {field}(id: $id) {{ id customerId }} node(id: $id) {{ __typename id }} }}"
    found = await archive.ask(query, id=id_)
    assert found == {
        field: {"id": id_, "customerId": CUSTOMER},
        "node": {"__typename": field.title(), "id": id_},
    }


@pytest.mark.parametrize(("field", "id_"), IDS.items())
async def test_another_customers_id_and_a_malformed_one_find_nothing(archive: Archive, field: str, id_: str) -> None:
    await house(archive)
    query = f"query ($id: ID!) {{ {field}(id: $id) {{ id }} node(id: $id) {{ id }} }}"
    nothing = {field: None, "node": None}
    assert await archive.ask(query, OTHER_CUSTOMER, id=id_) == nothing
    for malformed in ("", "nonsense\0", f"{id_} ", id_[:-1], "\ud800"):
        assert await archive.ask(query, id=malformed) == nothing


async def test_a_transfer_reads_as_the_source_document_has_it(archive: Archive) -> None:
    await archive.keep(transfer(Status.CONSULTING, note="mind the step", metadata={"ticket": "7"}))
    query = """query ($id: ID!) { transfer(id: $id) {
        id customerId type transfererCallId transfereeAddresses { type target targetName name detail } transfereeCallId
        groupcallId confbridgeId tmCreate tmDelete status speakingTo outcome isLive isDeleted allowedCommands
        heldCallIds note metadata { key value } attempts { callId outcome tmEnd } version tmDeadline
    } }"""
    assert (await archive.ask(query, id=TRANSFER))["transfer"] == {
        "id": TRANSFER,
        "customerId": CUSTOMER,
        "type": "ATTENDED",
        "transfererCallId": TRANSFERER,
        "transfereeAddresses": [
            {"type": "TEL", "target": target, "targetName": "", "name": "", "detail": ""}
            for target in ("+15550000107", "+15550001107")
        ],
        "transfereeCallId": LEG,
        "groupcallId": GROUPCALL,
        "confbridgeId": BRIDGE,
        "tmCreate": "2026-03-01T12:00:00.000000Z",
        "tmDelete": "9999-01-01T00:00:00.000000Z",
        "status": "CONSULTING",
        "speakingTo": "DESTINATION",
        "outcome": None,
        "isLive": True,
        "isDeleted": False,
        "allowedCommands": ["COMPLETE", "CANCEL", "SWAP", "MERGE", "UPDATE"],
        "heldCallIds": [HELD],
        "note": "mind the step",
        "metadata": [{"key": "ticket", "value": "7"}],
        "attempts": [
            {"callId": attempt.call_id, "outcome": attempt.outcome, "tmEnd": "2026-03-01T12:00:00.000000Z"}
            for attempt in transfer(Status.CONSULTING).attempts
        ],
        "version": 3,
        "tmDeadline": None,
    }


async def test_a_deleted_transfer_is_found_by_its_id_and_offers_nothing(archive: Archive) -> None:
    await archive.keep(transfer(Status.FAILED, tm_delete=NOON))
    query = "query ($id: ID!) { transfer(id: $id) { isDeleted tmDelete allowedCommands } transfers { totalCount } }"
    assert await archive.ask(query, id=TRANSFER) == {
        "transfer": {"isDeleted": True, "tmDelete": "2026-03-01T12:00:00.000000Z", "allowedCommands": []},
        "transfers": {"totalCount": 0},
    }


async def test_nodes_come_in_the_order_of_their_ids(archive: Archive) -> None:
    await house(archive)
    ids = [BRIDGE, "nonsense", TRANSFER, HELD, TRANSFER]
    found = await archive.ask("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=ids)
    assert [node and node["id"] for node in found["nodes"]] == [BRIDGE, None, TRANSFER, HELD, TRANSFER]


async def test_a_node_that_may_not_be_read_is_an_error_at_its_place(archive: Archive) -> None:
    await house(archive)
    ids = [BRIDGE, TRANSFER, "nonsense"]
    answer = await archive.answer("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", READS_CALLS, ids=ids)
    assert answer.data == {"nodes": [{"id": BRIDGE}, None, None]}
    assert [(error.path, error.extensions) for error in answer.errors] == [(["nodes", 1], {"code": "FORBIDDEN"})]


async def test_at_most_a_hundred_nodes(archive: Archive) -> None:
    query = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }"
    assert len((await archive.ask(query, ids=[TRANSFER] * 100))["nodes"]) == 100
    assert await archive.codes(query, ids=[TRANSFER] * 101) == ["BAD_USER_INPUT"]


TRANSFER_READS = [
    "transfer(id: $id) { id }",
    "transfers { totalCount }",
    "transferCounts { count }",
    "node(id: $id) { id }",
]
CALL_READS = [
    "call(id: $id) { id }",
    "calls { totalCount }",
    "groupcall(id: $id) { id }",
    "groupcalls { totalCount }",
    "conference(id: $id) { id }",
    "conferences { totalCount }",
]


@pytest.mark.parametrize("field", TRANSFER_READS)
async def test_transfers_need_their_permission(archive: Archive, field: str) -> None:
    await house(archive)
    variables = "($id: ID!)" if "$id" in field else ""
    answer = await archive.answer(f"query {variables} {{ it: {field} }}", READS_CALLS, id=TRANSFER)
    assert answer.data == {"it": None}
    assert [error.extensions for error in answer.errors] == [{"code": "FORBIDDEN"}]


@pytest.mark.parametrize("field", CALL_READS)
async def test_calls_need_their_permission(archive: Archive, field: str) -> None:
    await house(archive)
    variables = "($id: ID!)" if "$id" in field else ""
    answer = await archive.answer(f"query {variables} {{ it: {field} }}", READS_TRANSFERS, id=TRANSFERER)
    assert answer.data == {"it": None}
    assert [error.extensions for error in answer.errors] == [{"code": "FORBIDDEN"}]


LINKS_TO_CALLS = [
    "transfererCall { id }",
    "transfereeCall { id }",
    "heldCalls { id }",
    "groupcall { id }",
    "conference { id }",
]


async def test_links_to_calls_need_the_permission_for_calls(archive: Archive) -> None:
    await house(archive)
    links = " ".join(f"l{n}: {link}" for n, link in enumerate(LINKS_TO_CALLS))
    query = f"query ($id: ID!) {{ transfer(id: $id) {{ id {links} attempts {{ callId call {{ id }} }} }} }}"
    answer = await archive.answer(query, READS_TRANSFERS, id=TRANSFER)
    assert answer.data["transfer"]["id"] == TRANSFER
    assert [answer.data["transfer"][f"l{n}"] for n in range(len(LINKS_TO_CALLS))] == [None] * len(LINKS_TO_CALLS)
    assert {error.extensions["code"] for error in answer.errors} == {"FORBIDDEN"}
    assert len(answer.errors) == len(LINKS_TO_CALLS) + 2


async def test_links_to_transfers_need_the_permission_for_transfers(archive: Archive) -> None:
    await house(archive)
    query = """query ($call: ID!, $groupcall: ID!) {
        call(id: $call) { id transfer { id } transferRole transfers { totalCount } }
        groupcall(id: $groupcall) { id transfer { id } }
    }"""
    answer = await archive.answer(query, READS_CALLS, call=TRANSFERER, groupcall=GROUPCALL)
    assert answer.data == {
        "call": {"id": TRANSFERER, "transfer": None, "transferRole": None, "transfers": None},
        "groupcall": {"id": GROUPCALL, "transfer": None},
    }
    assert [error.extensions["code"] for error in answer.errors] == ["FORBIDDEN"] * 4


async def test_the_viewer_is_what_the_token_says(archive: Archive) -> None:
    found = await archive.ask("{ viewer { customerId subject permissions now } }", READS_CALLS)
    assert found["viewer"] == {
        "customerId": CUSTOMER,
        "subject": "agent",
        "permissions": ["CALLS_READ"],
        "now": "2026-03-01T12:00:00.000000Z",
    }


async def test_who_is_to_blame_is_said_when_the_outcome_is(archive: Archive) -> None:
    await archive.keep(transfer(Status.RECALLING))
    query = "query ($id: ID!) { transfer(id: $id) { outcome outcomeReason endedBy recallAttempts } }"
    recalling = {"outcome": None, "outcomeReason": "BUSY", "endedBy": None, "recallAttempts": 1}
    assert (await archive.ask(query, id=TRANSFER))["transfer"] == recalling


async def test_a_call_shows_its_live_transfer_and_its_part_in_it(archive: Archive) -> None:
    await house(archive)
    query = "query ($id: ID!) { call(id: $id) { transfer { id } transferRole transfers { nodes { id } totalCount } } }"
    for id_, role in ((TRANSFERER, "TRANSFERER"), (HELD, "HELD"), (LEG, "DESTINATION")):
        assert (await archive.ask(query, id=id_))["call"] == {
            "transfer": {"id": TRANSFER},
            "transferRole": role,
            "transfers": {"nodes": [{"id": TRANSFER}], "totalCount": 1},
        }


async def test_a_call_whose_transfer_has_ended_has_no_live_one(archive: Archive) -> None:
    await archive.keep(transfer(Status.FAILED), call())
    query = "query ($id: ID!) { call(id: $id) { transfer { id } transferRole transfers { nodes { status } } } }"
    assert (await archive.ask(query, id=TRANSFERER))["call"] == {
        "transfer": None,
        "transferRole": None,
        "transfers": {"nodes": [{"status": "FAILED"}]},
    }


async def test_the_parties_of_a_conference_are_those_that_are_up(archive: Archive) -> None:
    await archive.keep(bridge(), call(), call(HELD), ended(call(LEG)))
    query = "query ($id: ID!) { conference(id: $id) { calls { id } } }"
    found = await archive.ask(query, id=BRIDGE)
    assert {party["id"] for party in found["conference"]["calls"]} == {TRANSFERER, HELD}
