"""Lists: pages in both directions, filters, order, counts, cursors."""

import asyncio
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest

from app.api.paging import BadCursor, Cursors
from app.api.schema import build_schema
from app.domain.calls import Call, CallDirection, CallStatus
from app.domain.transfer import Reason, Status, Transfer, Type
from app.storage import pages
from app.storage.filters import CallFilter, TransferFilter
from app.storage.pages import Listing
from tests import executing
from tests.api.archive import OTHER_CUSTOMER, Archive, statements
from tests.builders import BRIDGE, CUSTOMER, HELD, NOON, TRANSFERER, bridge, call, ended, tel, transfer, uid

PAGE = """query ($first: Int, $after: String, $last: Int, $before: String, $order: OrderDirection! = DESC) {
    it: transfers(first: $first, after: $after, last: $last, before: $before, order: $order) {
        nodes { id } edges { cursor node { id } } totalCount
        pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    }
}"""
FILTERED = "query ($filter: TransferFilter) { transfers(filter: $filter, first: 100) { nodes { id } totalCount } }"
CALLS = "query ($filter: CallFilter) { calls(filter: $filter, first: 100) { nodes { id } totalCount } }"


def ended_transfer(number: int, status: Status = Status.FAILED, **changes: Any) -> Transfer:
    """Return an ended transfer. Two transfers each start in the same microsecond, so their ids decide the order."""
    at = NOON + timedelta(seconds=number // 2)
    own: dict[str, Any] = {
        name: uid(f"{name} {number}") for name in ("transferer_call_id", "confbridge_id", "groupcall_id")
    }
    return transfer(status, id=uid(f"transfer {number}"), **(own | {"tm_create": at, "attempts": ()} | changes))


async def keep_ended(archive: Archive, count: int) -> list[str]:
    """Store so many ended transfers, and return their ids, newest first."""
    made = [ended_transfer(number) for number in range(count)]
    await archive.keep(*made)
    return [t.id for t in sorted(made, key=lambda t: (t.tm_create, t.id), reverse=True)]


@pytest.mark.slow
@pytest.mark.parametrize("order", ["DESC", "ASC"])
async def test_every_page_is_the_slice_that_the_arguments_say(archive: Archive, order: str) -> None:
    ids = await keep_ended(archive, 5)
    ids = ids if order == "DESC" else ids[::-1]
    whole = (await archive.ask(PAGE, order=order))["it"]
    assert [node["id"] for node in whole["nodes"]] == ids
    cursors = [None, *(edge["cursor"] for edge in whole["edges"])]
    for size, after, before in product((0, 1, 2, 5, 6), range(6), range(6)):
        start, end = after, before - 1 if before else 5
        for name in ("first", "last"):
            asked: dict[str, Any] = {"after": cursors[after], "before": cursors[before], name: size}
            page = (await archive.ask(PAGE, order=order, **asked))["it"]
            within = ids[start:end]
            wanted = within[:size] if name == "first" else within[max(0, len(within) - size) :]
            assert [edge["node"]["id"] for edge in page["edges"]] == wanted
            assert page["totalCount"] == 5
            if start > end:
                continue  # there is nothing between these bounds, so there is nothing before or after it either
            low = start if name == "first" else end - len(wanted)
            high = low + len(wanted)
            assert page["pageInfo"] == {
                "hasPreviousPage": low > 0,
                "hasNextPage": high < 5,
                "startCursor": cursors[low + 1] if wanted else None,
                "endCursor": cursors[high] if wanted else None,
            }


async def test_a_page_has_twenty_unless_said_otherwise(archive: Archive) -> None:
    ids = await keep_ended(archive, 21)
    page = (await archive.ask(PAGE))["it"]
    assert [node["id"] for node in page["nodes"]] == ids[:20]
    assert page["pageInfo"]["hasNextPage"] is True


async def test_what_is_new_does_not_shift_the_pages_behind_a_cursor(archive: Archive) -> None:
    ids = await keep_ended(archive, 4)
    page = (await archive.ask(PAGE, first=2))["it"]
    await archive.keep(ended_transfer(9))
    following = (await archive.ask(PAGE, first=2, after=page["pageInfo"]["endCursor"]))["it"]
    assert [node["id"] for node in following["nodes"]] == ids[2:]


@pytest.mark.parametrize(
    "arguments",
    [{"first": -1}, {"first": 101}, {"last": 101}, {"first": 1, "last": 1}, {"after": ""}, {"before": "nonsense"}],
)
async def test_bad_arguments_are_the_callers_mistake(archive: Archive, arguments: dict[str, Any]) -> None:
    assert await archive.codes(PAGE, **arguments) == ["BAD_USER_INPUT"]


async def test_a_cursor_is_of_one_list_in_one_order_of_one_customer(archive: Archive) -> None:
    await archive.keep(transfer(Status.FAILED), call())
    cursor = (await archive.ask(PAGE))["it"]["edges"][0]["cursor"]
    assert not await archive.codes(PAGE, after=cursor)
    assert await archive.codes(PAGE, after=cursor, order="ASC") == ["BAD_USER_INPUT"]
    assert await archive.codes(PAGE, OTHER_CUSTOMER, after=cursor) == ["BAD_USER_INPUT"]
    calls = "query ($after: String) { calls(after: $after) { totalCount } }"
    assert await archive.codes(calls, after=cursor) == ["BAD_USER_INPUT"]
    of_call = "query ($id: ID!, $after: String) { call(id: $id) { transfers(after: $after) { totalCount } } }"
    assert await archive.codes(of_call, id=TRANSFERER, after=cursor) == ["BAD_USER_INPUT"]


@pytest.mark.parametrize("cursor", ["!", "é", "bnVsbA", "W10", "WzFd", "WzEsIngiXQ", "W3RydWUsIngiLCJ5IiwieiJd", "e30"])
async def test_no_cursor_of_ones_own_making_does_harm(archive: Archive, cursor: str) -> None:
    assert await archive.codes(PAGE, after=cursor) == ["BAD_USER_INPUT"]


def test_nor_one_that_nests_without_end() -> None:
    cursors = Cursors.of("list")
    forged = f'[1, "{cursors.mark}", {"[" * 300}{"]" * 300}]'
    with pytest.raises(BadCursor):
        cursors.decode(urlsafe_b64encode(forged.encode()).decode())


async def test_the_total_is_counted_only_when_asked_for(archive: Archive) -> None:
    await keep_ended(archive, 1)
    with statements() as heard:
        await archive.ask("{ transfers { nodes { id } pageInfo { hasNextPage } eventCursor } }")
    assert len(heard) == 2
    with statements() as heard:
        await archive.ask("{ transfers { totalCount } }")
    assert len([statement for statement in heard if "count(" in statement.sql]) == 1


FINDS: Sequence[tuple[dict[str, Any], set[int]]] = [
    ({}, {1, 2, 3, 4}),
    ({"type": "BLIND"}, {2}),
    ({"type": None, "isLive": None, "statuses": None}, {1, 2, 3, 4}),
    ({"statuses": ["FAILED", "RINGING"]}, {1, 3}),
    ({"statuses": []}, set()),
    ({"isLive": True}, {1}),
    ({"isLive": False}, {2, 3, 4}),
    ({"isLive": True, "statuses": ["FAILED"]}, set()),
    ({"callId": uid("transferer_call_id 2")}, {2}),
    ({"callId": HELD}, {1, 2, 3, 4}),
    ({"callId": "nonsense"}, set()),
    ({"confbridgeId": uid("confbridge_id 3")}, {3}),
    ({"startedBy": "somebody"}, {4}),
    ({"outcomeReasons": ["BUSY"]}, {3}),
    ({"outcomeReasons": []}, set()),
    ({"tmCreateAfter": "2026-03-01T12:00:01Z"}, {2, 3, 4}),
    ({"tmCreateBefore": "2026-03-01T13:00:02+01:00"}, {1, 2, 3}),
    ({"tmCreateAfter": "2026-03-01T12:00:01Z", "tmCreateBefore": "2026-03-01T12:00:02Z"}, {2, 3}),
    ({"tmEndAfter": "2026-03-01T12:00:00.000000Z"}, {2, 3, 4}),
    ({"tmEndBefore": "2026-03-01T12:00:00.000000Z"}, set()),
    ({"includeDeleted": True}, {1, 2, 3, 4, 5}),
    ({"includeDeleted": True, "statuses": ["ABANDONED"]}, {5}),
]


@pytest.mark.parametrize(("wanted", "numbers"), FINDS)
async def test_transfers_are_found_by_each_filter(archive: Archive, wanted: dict[str, Any], numbers: set[int]) -> None:
    await archive.keep(
        ended_transfer(1, Status.RINGING),
        ended_transfer(2, Status.COMPLETED, type_=Type.BLIND),
        ended_transfer(3),
        ended_transfer(4, Status.CANCELLED, started_by="somebody"),
        ended_transfer(5, Status.ABANDONED, tm_delete=NOON),
        ended_transfer(6, customer_id=uid("other customer")),
    )
    found = (await archive.ask(FILTERED, filter=wanted))["transfers"]
    assert {node["id"] for node in found["nodes"]} == {uid(f"transfer {number}") for number in numbers}
    assert found["totalCount"] == len(numbers)


async def test_transfers_are_counted_by_status_and_reason(archive: Archive) -> None:
    await archive.keep(
        *(ended_transfer(number) for number in (1, 2)),
        ended_transfer(3, outcome_reason=Reason.TIMEOUT),
        ended_transfer(4, Status.COMPLETED),
        ended_transfer(5, tm_delete=NOON),
        ended_transfer(6, customer_id=uid("other customer")),
    )
    query = "query ($filter: TransferFilter) { transferCounts(filter: $filter) { status outcomeReason count } }"
    counts = (await archive.ask(query))["transferCounts"]
    assert sorted(counts, key=str) == [
        {"status": "COMPLETED", "outcomeReason": None, "count": 1},
        {"status": "FAILED", "outcomeReason": "BUSY", "count": 2},
        {"status": "FAILED", "outcomeReason": "TIMEOUT", "count": 1},
    ]
    assert (await archive.ask(query, filter={"statuses": ["COMPLETED"]}))["transferCounts"] == counts[:1]


def many_calls() -> list[Call]:
    return [
        call(uid("call 1"), source=tel("+15551"), direction=CallDirection.INCOMING),
        call(uid("call 2"), destination=tel("+15551"), confbridge_id=uid("elsewhere")),
        ended(call(uid("call 3"), owner_id=uid("owner"))),
        call(uid("call 4"), customer_id=uid("other customer")),
    ]


CALLS_FOUND: Sequence[tuple[dict[str, Any], set[int]]] = [
    ({}, {1, 2, 3}),
    ({"statuses": ["HANGUP"]}, {3}),
    ({"statuses": []}, set()),
    ({"direction": "INCOMING"}, {1}),
    ({"confbridgeId": BRIDGE}, {1, 3}),
    ({"ownerId": uid("owner")}, {3}),
    ({"address": "+15551"}, {1, 2}),
    ({"address": "+15551", "direction": "OUTGOING"}, {2}),
]


@pytest.mark.parametrize(("wanted", "numbers"), CALLS_FOUND)
async def test_calls_are_found_by_each_filter(archive: Archive, wanted: dict[str, Any], numbers: set[int]) -> None:
    await archive.keep(*many_calls())
    found = (await archive.ask(CALLS, filter=wanted))["calls"]
    assert {node["id"] for node in found["nodes"]} == {uid(f"call {number}") for number in numbers}
    assert found["totalCount"] == len(numbers)


@pytest.mark.parametrize("wanted", [{"direction": "UNKNOWN"}, {"statuses": ["HANGUP", "UNKNOWN"]}])
async def test_nobody_can_ask_for_the_unknown(archive: Archive, wanted: dict[str, Any]) -> None:
    assert await archive.codes(CALLS, filter=wanted) == ["BAD_USER_INPUT"]


@pytest.mark.parametrize("moment", ["2026-03-01T12:00:00", "2026-03-01", "noon", "0001-01-01T00:00:00+10:00", 7])
async def test_a_moment_that_nobody_can_place_is_refused(archive: Archive, moment: object) -> None:
    query = "query ($at: DateTime) { transfers(filter: {tmCreateAfter: $at}) { totalCount } }"
    assert await archive.codes(query, at=moment) == ["BAD_USER_INPUT"]
    literal = f'"{moment}"' if isinstance(moment, str) else str(moment)
    query = f"{{ transfers(filter: {{tmCreateAfter: {literal}}}) {{ totalCount }} }}"
    assert await archive.codes(query) == ["BAD_USER_INPUT"]


@pytest.mark.parametrize("field", ["calls", "groupcalls", "conferences"])
async def test_the_other_lists_go_page_by_page_from_the_newest(archive: Archive, field: str) -> None:
    at = [NOON + timedelta(seconds=n) for n in range(3)]
    await archive.keep(
        *(call(uid(f"call {n}"), tm_create=at[n]) for n in range(3)),
        *(replace(bridge(), id=uid(f"bridge {n}"), tm_create=at[n]) for n in range(3)),
        *(ended_transfer(2 * n) for n in range(3)),
    )
    query = f"""query ($after: String) {{ it: {field}(first: 2, after: $after) {{
        nodes {{ tmCreate }} totalCount pageInfo {{ hasNextPage hasPreviousPage endCursor }}
    }} }}"""
    page = (await archive.ask(query))["it"]
    rest = (await archive.ask(query, after=page["pageInfo"]["endCursor"]))["it"]
    seconds = [node["tmCreate"][17:19] for node in (*page["nodes"], *rest["nodes"])]
    assert seconds == ["02", "01", "00"]
    assert [page["totalCount"], page["pageInfo"]["hasNextPage"], page["pageInfo"]["hasPreviousPage"]] == [
        3,
        True,
        False,
    ]
    assert [rest["pageInfo"]["hasNextPage"], rest["pageInfo"]["hasPreviousPage"]] == [False, True]
    assert not (await archive.ask(query, OTHER_CUSTOMER))["it"]["nodes"]


async def test_a_calls_transfers_go_page_by_page(archive: Archive) -> None:
    await archive.keep(call(), *(ended_transfer(n, transferer_call_id=TRANSFERER) for n in range(5)))
    query = """query ($id: ID!, $after: String) { call(id: $id) { transfers(first: 2, after: $after) {
        nodes { id } totalCount eventCursor pageInfo { hasNextPage hasPreviousPage endCursor }
    } } }"""
    seen: list[str] = []
    flags, cursor = [], None
    for _ in range(3):
        page = (await archive.ask(query, id=TRANSFERER, after=cursor))["call"]["transfers"]
        seen += [node["id"] for node in page["nodes"]]
        cursor = page["pageInfo"]["endCursor"]
        flags.append((page["pageInfo"]["hasPreviousPage"], page["pageInfo"]["hasNextPage"], page["totalCount"]))
    assert len(set(seen)) == 5
    assert flags == [(False, True, 5), (True, True, 5), (True, False, 5)]


SOUGHT: Sequence[tuple[Listing[Any], str]] = [
    (pages.transfers(CUSTOMER, TransferFilter()), "transfers_newest_first"),
    (pages.transfers(CUSTOMER, TransferFilter(statuses=[Status.FAILED])), "transfers_by_status"),
    (pages.transfers(CUSTOMER, TransferFilter(type=Type.BLIND)), "transfers_by_type"),
    (pages.transfers(CUSTOMER, TransferFilter(started_by="me")), "transfers_by_starter"),
    (pages.transfers(CUSTOMER, TransferFilter(confbridge_id=BRIDGE)), "transfers_by_bridge"),
    (pages.transfers(CUSTOMER, TransferFilter(outcome_reasons=[Reason.BUSY])), "transfers_by_reason"),
    (pages.calls(CUSTOMER, CallFilter()), "calls_newest_first"),
    (pages.calls(CUSTOMER, CallFilter(statuses=[CallStatus.RINGING])), "calls_by_status"),
    (pages.calls(CUSTOMER, CallFilter(direction=CallDirection.INCOMING)), "calls_by_direction"),
    (pages.calls(CUSTOMER, CallFilter(owner_id=uid("owner"))), "calls_by_owner"),
    (pages.groupcalls(CUSTOMER), "groupcalls_newest_first"),
    (pages.conferences(CUSTOMER), "conferences_newest_first"),
]


@pytest.mark.parametrize(("listing", "index"), SOUGHT)
async def test_a_page_is_sought_in_an_index_however_deep_it_is(
    archive: Archive, listing: Listing[Any], index: str
) -> None:
    plan = await planned(archive, listing)
    assert f"USING INDEX {index}" in plan
    assert "(tm_create,id)<(?,?)" in plan
    assert "TEMP B-TREE" not in plan


FEW: Sequence[tuple[Listing[Any], str]] = [
    (pages.transfers(CUSTOMER, TransferFilter(is_live=True)), "transfers_by_status (customer_id=? AND status=?)"),
    (pages.transfers(CUSTOMER, TransferFilter(call_id=HELD)), "sqlite_autoindex_transfers_1 (id=?)"),
    (pages.calls(CUSTOMER, CallFilter(confbridge_id=BRIDGE)), "calls_by_bridge (confbridge_id=?"),
    (pages.calls(CUSTOMER, CallFilter(address="+1555")), "sqlite_autoindex_calls_1 (id=?)"),
]


@pytest.mark.parametrize(("listing", "index"), FEW)
async def test_what_is_rare_is_not_looked_for_in_a_whole_history(
    archive: Archive, listing: Listing[Any], index: str
) -> None:
    plan = await planned(archive, listing)
    assert f"USING INDEX {index}" in plan
    assert "newest_first" not in plan


async def planned(archive: Archive, listing: Listing[Any]) -> str:
    after = (datetime(2026, 1, 1, tzinfo=UTC), uid("somewhere"))
    async with archive.database.reading() as connection:
        with statements() as heard:
            await listing.page(connection, pages.Window(20, after))
        steps = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {heard[0].sql}", heard[0].parameters)
        return "\n".join(step.detail for step in steps)


async def test_reads_at_the_same_time_do_not_disturb_each_other(archive: Archive) -> None:
    await keep_ended(archive, 3)
    pages = await asyncio.gather(*(archive.ask(PAGE) for _ in range(20)))
    assert all(page == pages[0] for page in pages)


async def test_a_wallboard_counts_two_spans_of_time_and_pays_for_what_it_has_counted(archive: Archive) -> None:
    """Twenty wallboards at once are not throttled."""
    await keep_ended(archive, 3)
    executor = executing.executor_of(build_schema())
    query = """query ($day: DateTime!, $hour: DateTime!) {
        today: transferCounts(filter: {tmCreateAfter: $day}) { status outcomeReason count }
        lastHour: transferCounts(filter: {tmCreateAfter: $hour}) { status outcomeReason count }
        newest: transfers(first: 100) { totalCount nodes { id status } }
    }"""
    spans = {"day": "2026-03-01T00:00:00Z", "hour": "2026-03-01T11:00:00Z"}
    answers = await asyncio.gather(*(executing.ask(executor, query, archive.context(), **spans) for _ in range(20)))
    assert [answer.errors for answer in answers] == [[]] * 20
    (cost,) = {answer.extensions["cost"]["requested"] for answer in answers if answer.extensions}
    assert cost < 200
