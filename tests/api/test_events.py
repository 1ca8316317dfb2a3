"""The history of a transfer: its events, page by page."""

from itertools import product
from typing import Any

import pytest

from app.domain.transfer import SpeakingTo, Status, Transfer
from tests.api.archive import OTHER_CUSTOMER, Archive
from tests.builders import TRANSFER, transfer, uid

PAGE = """query ($id: ID!, $first: Int, $after: String, $last: Int, $before: String) { transfer(id: $id) {
    it: events(first: $first, after: $after, last: $last, before: $before) {
        edges { cursor node { version cursor } } nodes { version } totalCount
        pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    }
} }"""


async def live_through(archive: Archive, **changes: Any) -> Transfer:
    """Give a transfer five versions. The log has events of another transfer between them."""
    t = transfer(Status.STARTING, **changes)
    other = transfer(
        Status.FAILED, id=uid("other"), confbridge_id=uid("elsewhere"), transferer_call_id=uid("x"), attempts=()
    )
    await archive.keep(t, other)
    t = await archive.change(t, {"status": Status.RINGING})
    other = await archive.change(other, {"note": "between"})
    t = await archive.change(t, {"status": Status.CONSULTING, "speaking_to": SpeakingTo.DESTINATION})
    return await archive.change(t, {"speaking_to": SpeakingTo.HELD}, {"note": "to the point"})


@pytest.mark.slow
async def test_every_page_is_the_slice_that_the_arguments_say(archive: Archive) -> None:
    await live_through(archive)
    whole = (await archive.ask(PAGE, id=TRANSFER))["transfer"]["it"]
    assert [node["version"] for node in whole["nodes"]] == [1, 2, 3, 4, 5]
    assert all(edge["cursor"] == edge["node"]["cursor"] for edge in whole["edges"])
    cursors = [None, *(edge["cursor"] for edge in whole["edges"])]
    for size, after, before, name in product((0, 1, 2, 5, 6), range(6), range(6), ("first", "last")):
        start, end = after, before - 1 if before else 5
        if start > end:
            continue
        arguments = {"after": cursors[after], "before": cursors[before], name: size}
        page = (await archive.ask(PAGE, id=TRANSFER, **arguments))["transfer"]["it"]
        wanted = list(range(start + 1, end + 1))
        wanted = wanted[:size] if name == "first" else wanted[max(0, len(wanted) - size) :]
        assert [edge["node"]["version"] for edge in page["edges"]] == wanted
        low = start if name == "first" else end - len(wanted)
        assert page["totalCount"] == 5
        assert page["pageInfo"] == {
            "hasPreviousPage": low > 0,
            "hasNextPage": low + len(wanted) < 5,
            "startCursor": cursors[low + 1] if wanted else None,
            "endCursor": cursors[low + len(wanted)] if wanted else None,
        }


async def test_history_stands_flat_beside_the_present(archive: Archive) -> None:
    await live_through(archive)
    query = """query ($id: ID!) { transfer(id: $id) { events { nodes {
        kind transferId previousStatus status speakingTo actor { party subject } occurredAt transfer { version }
    } } } }"""
    events = (await archive.ask(query, id=TRANSFER))["transfer"]["events"]["nodes"]
    assert [(event["kind"], event["previousStatus"], event["status"], event["speakingTo"]) for event in events] == [
        ("STARTED", None, "STARTING", "NONE"),
        ("STATUS", "STARTING", "RINGING", "NONE"),
        ("STATUS", "RINGING", "CONSULTING", "DESTINATION"),
        ("SPEAKING_TO", "CONSULTING", "CONSULTING", "HELD"),
        ("UPDATED", "CONSULTING", "CONSULTING", "HELD"),
    ]
    assert all(event["transfer"] == {"version": 5} for event in events)
    assert all(event["transferId"] == TRANSFER for event in events)
    assert events[0]["actor"] == {"party": "CLIENT", "subject": "me"}
    assert events[1]["occurredAt"] == "2026-03-01T12:00:01.000000Z"


@pytest.mark.parametrize("arguments", [{"first": 101}, {"first": 1, "last": 1}, {"after": "nonsense"}, {"before": ""}])
async def test_bad_arguments_are_the_callers_mistake(archive: Archive, arguments: dict[str, Any]) -> None:
    await live_through(archive)
    assert await archive.codes(PAGE, id=TRANSFER, **arguments) == ["BAD_USER_INPUT"]


async def test_a_cursor_of_another_customers_log_is_none(archive: Archive) -> None:
    await live_through(archive)
    theirs = (await archive.ask("{ transfers { eventCursor } }", OTHER_CUSTOMER))["transfers"]["eventCursor"]
    assert await archive.codes(PAGE, id=TRANSFER, after=theirs) == ["BAD_USER_INPUT"]


async def test_the_event_cursor_of_a_list_is_a_place_in_the_history(archive: Archive) -> None:
    await live_through(archive)
    cursor = (await archive.ask("{ transfers(first: 0) { eventCursor } }"))["transfers"]["eventCursor"]
    before = (await archive.ask(PAGE, id=TRANSFER, after=cursor))["transfer"]["it"]
    assert before["nodes"] == []
    assert (before["pageInfo"]["hasPreviousPage"], before["pageInfo"]["hasNextPage"]) == (True, False)
