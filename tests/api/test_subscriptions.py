"""Subscriptions: what they deliver, where they begin and end, and that they leave nothing behind."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import delete

from app.api.paging import event_cursors
from app.domain.calls import Call
from app.domain.transfer import HeldParty, Outcome, SpeakingTo, Status, Transfer, Type
from app.domain.viewer import Permission
from app.storage.filters import EVENTS
from tests.api.archive import OTHER_CUSTOMER, Archive
from tests.builders import BRIDGE, CUSTOMER, HELD, LEG, NOON, TRANSFER, TRANSFERER, call, ended, transfer, uid, viewer

CHANGED = "subscription ($id: ID!) { transferChanged(id: $id) { version status transfer { version } } }"
EVENTS_AFTER = """subscription ($after: String, $filter: TransferEventFilter) {
    transferEvents(after: $after, filter: $filter) { cursor version transferId status transfer { version } }
}"""
CALLS = "subscription ($filter: CallFilter) { callChanged(filter: $filter) { kind call { id isOnHold status } } }"
SECONDS = 5


async def take(stream: AsyncGenerator[Any], count: int) -> list[Any]:
    async with asyncio.timeout(SECONDS):
        return [await anext(stream) for _ in range(count)]


async def rest(stream: AsyncGenerator[Any]) -> list[Any]:
    async with asyncio.timeout(SECONDS):
        return [event async for event in stream]


def seen(changes: list[Any]) -> dict[str, tuple[Any, ...]]:
    assert {change["kind"] for change in changes} == {"CHANGED"}
    calls = [change["call"] for change in changes]
    return {one["id"]: (one["version"], one["transferRole"], one["transfer"]) for one in calls}


async def is_quiet(archive: Archive, stream: AsyncGenerator[Any]) -> bool:
    """Return whether the stream waits for a wake-up and sends nothing before. This ends the stream."""
    coming = asyncio.ensure_future(anext(stream))
    idle = asyncio.ensure_future(archive.broker.waiting.wait())
    done, _ = await asyncio.wait([coming, idle], timeout=SECONDS, return_when=asyncio.FIRST_COMPLETED)
    coming.cancel()
    await asyncio.wait([coming])
    return done == {idle}


def other_transfer(name: str, **changes: Any) -> Transfer:
    own = {part: uid(f"{part} {name}") for part in ("transferer_call_id", "confbridge_id", "groupcall_id")}
    return transfer(Status.STARTING, id=uid(name), attempts=(), **(own | changes))


ENDINGS: tuple[dict[str, Any], ...] = (
    {"status": Status.ENDING, "outcome": Outcome.CANCELLED},
    {"status": Status.CANCELLED, "tm_end": NOON},
)


class TestTransferChanged:
    async def test_it_gives_the_latest_event_then_each_one_and_completes_with_the_end(self, archive: Archive) -> None:
        t = transfer(Status.STARTING)
        await archive.keep(t)
        t = await archive.change(t, {"status": Status.RINGING})
        async with archive.following(CHANGED, id=TRANSFER) as stream:
            assert [event["status"] for event in await take(stream, 1)] == ["RINGING"]
            t = await archive.change(t, {"status": Status.CONSULTING})
            assert [event["status"] for event in await take(stream, 1)] == ["CONSULTING"]
            await archive.change(t, *ENDINGS)
            assert [(event["status"], event["version"]) for event in await rest(stream)] == [
                ("ENDING", 4),
                ("CANCELLED", 5),
            ]

    async def test_the_transfer_in_an_event_is_the_present_one(self, archive: Archive) -> None:
        t = transfer(Status.STARTING)
        await archive.keep(t)
        async with archive.following(CHANGED, id=TRANSFER) as stream:
            await take(stream, 1)
            await archive.change(t, {"note": "a"}, {"note": "b"})
            assert [(event["version"], event["transfer"]["version"]) for event in await take(stream, 2)] == [
                (2, 3),
                (3, 3),
            ]

    @pytest.mark.parametrize("after_the_end", [{"tm_delete": NOON}, None])
    async def test_of_one_that_has_ended_it_gives_the_latest_event_and_completes(
        self, archive: Archive, after_the_end: dict[str, Any] | None
    ) -> None:
        t = transfer(Status.STARTING)
        await archive.keep(t)
        t = await archive.change(t, *ENDINGS, *([after_the_end] if after_the_end else []))
        async with archive.following(CHANGED, id=TRANSFER) as stream:
            assert [event["version"] for event in await rest(stream)] == [t.version]

    async def test_others_transfers_do_not_come(self, archive: Archive) -> None:
        await archive.keep(transfer(Status.STARTING), other_transfer("other"))
        async with archive.following(CHANGED, id=TRANSFER) as stream:
            await take(stream, 1)
            await archive.change(other_transfer("other"), {"status": Status.RINGING})
            assert await is_quiet(archive, stream)

    async def test_more_events_than_are_read_at_once(self, archive: Archive) -> None:
        t = transfer(Status.STARTING)
        await archive.keep(t)
        async with archive.following(CHANGED, id=TRANSFER) as stream:
            await take(stream, 1)
            t = await archive.change(t, *({"note": str(n)} for n in range(250)))
            assert [event["version"] for event in await take(stream, 250)] == list(range(2, 252))

    @pytest.mark.parametrize("id_", ["nonsense", uid("nobody"), "\0"])
    async def test_an_unknown_id_is_not_found(self, archive: Archive, id_: str) -> None:
        assert await archive.refusal(CHANGED, id=id_) == "NOT_FOUND"

    async def test_another_customers_id_is_not_found(self, archive: Archive) -> None:
        await archive.keep(transfer())
        assert await archive.refusal(CHANGED, OTHER_CUSTOMER, id=TRANSFER) == "NOT_FOUND"


class TestTransferEvents:
    async def test_without_a_cursor_they_begin_now(self, archive: Archive) -> None:
        t = transfer(Status.STARTING)
        await archive.keep(t)
        async with archive.following(EVENTS_AFTER) as stream:
            waiting = asyncio.ensure_future(take(stream, 1))
            await archive.broker.waiting.wait()
            await archive.change(t, {"status": Status.RINGING})
            assert [event["status"] for event in await waiting] == ["RINGING"]

    async def test_after_a_page_of_transfers_nothing_is_missed(self, archive: Archive) -> None:
        t = transfer(Status.STARTING)
        await archive.keep(t)
        page = (await archive.ask("{ transfers { eventCursor nodes { version } } }"))["transfers"]
        t = await archive.change(t, {"status": Status.RINGING}, {"status": Status.CONSULTING})
        async with archive.following(EVENTS_AFTER, after=page["eventCursor"]) as stream:
            assert [event["version"] for event in await take(stream, 2)] == [2, 3]
            await archive.change(t, {"note": "live"})
            assert [event["version"] for event in await take(stream, 1)] == [4]
            assert await is_quiet(archive, stream)

    async def test_resumed_after_any_event_each_comes_once(self, archive: Archive) -> None:
        t = transfer(Status.STARTING)
        await archive.keep(t, other_transfer("other"))
        await archive.change(t, *({"note": str(n)} for n in range(5)))
        start = event_cursors(CUSTOMER).encode(0)
        async with archive.following(EVENTS_AFTER, after=start) as stream:
            whole = await take(stream, 7)
        for read in range(1, 8):
            async with archive.following(EVENTS_AFTER, after=whole[read - 1]["cursor"]) as stream:
                assert await take(stream, 7 - read) == whole[read:]

    async def test_writers_at_work_leave_no_gap_at_the_seam(self, archive: Archive) -> None:
        made = [other_transfer(f"t{n}") for n in range(5)]
        await archive.keep(*made)

        async def write(t: Transfer) -> None:
            for n in range(10):
                t = await archive.change(t, {"note": str(n)})

        async with asyncio.TaskGroup() as writers:
            for t in made:
                writers.create_task(write(t))
            readers = [writers.create_task(self._read_all(archive)) for _ in range(4)]
        for reader in readers:
            events = reader.result()
            for t in made:
                assert [event["version"] for event in events if event["transferId"] == t.id] == list(range(1, 12))

    async def _read_all(self, archive: Archive) -> list[Any]:
        """Read 55 events. The stream is cut after every 9 events and resumed by its cursor."""
        events: list[Any] = []
        cursor = event_cursors(CUSTOMER).encode(0)
        while len(events) < 55:
            async with archive.following(EVENTS_AFTER, after=cursor) as stream:
                events += await take(stream, min(9, 55 - len(events)))
            cursor = events[-1]["cursor"]
        return events

    @pytest.mark.parametrize(
        ("wanted", "versions"),
        [
            ({}, [1, 1, 2, 3, 4, 2]),
            ({"transferId": TRANSFER}, [1, 2, 3, 4]),
            ({"transferId": "nonsense"}, []),
            ({"callId": HELD}, [1, 1, 2, 3, 4, 2]),
            ({"callId": TRANSFERER}, [1, 2, 3, 4]),
            ({"type": "BLIND"}, [1, 2]),
            ({"statuses": ["RINGING"]}, [2, 4]),
            ({"statuses": ["CONSULTING"]}, [4]),
            ({"statuses": ["STARTING"], "transferId": TRANSFER}, [1, 2]),
            ({"statuses": []}, []),
        ],
    )
    async def test_they_are_filtered(self, archive: Archive, wanted: dict[str, Any], versions: list[int]) -> None:
        t, other = transfer(Status.STARTING), other_transfer("other", type_=Type.BLIND)
        await archive.keep(t, other)
        speaking = {"status": Status.CONSULTING, "speaking_to": SpeakingTo.DESTINATION}
        await archive.change(t, {"status": Status.RINGING}, {"note": "on the way"}, speaking)
        await archive.change(other, {"status": Status.TRANSFERRING, "note": "gone"})
        start = event_cursors(CUSTOMER).encode(0)
        async with archive.following(EVENTS_AFTER, after=start, filter=wanted) as stream:
            assert [event["version"] for event in await take(stream, len(versions))] == versions
            assert await is_quiet(archive, stream)

    async def test_other_customers_do_not_come(self, archive: Archive) -> None:
        theirs = transfer(Status.STARTING, customer_id=OTHER_CUSTOMER.customer_id)
        async with archive.following(EVENTS_AFTER, after=event_cursors(CUSTOMER).encode(0)) as stream:
            await archive.keep(theirs)
            assert await is_quiet(archive, stream)

    @pytest.mark.parametrize("cursor", ["", "nonsense", event_cursors("somebody").encode(0)])
    async def test_a_bad_cursor_is_invalid(self, archive: Archive, cursor: str) -> None:
        await archive.keep(transfer())
        assert await archive.refusal(EVENTS_AFTER, after=cursor) == "CURSOR_INVALID"

    async def test_a_cursor_beyond_the_log_is_invalid(self, archive: Archive) -> None:
        await archive.keep(transfer())
        assert await archive.refusal(EVENTS_AFTER, after=event_cursors(CUSTOMER).encode(2)) == "CURSOR_INVALID"

    @pytest.mark.parametrize(("purged", "kept_after"), [(3, 3), (6, 6)])
    async def test_a_cursor_whose_events_are_no_longer_kept_has_expired(
        self, archive: Archive, purged: int, kept_after: int
    ) -> None:
        t = transfer(Status.STARTING)
        await archive.keep(t)
        await archive.change(t, *({"note": str(n)} for n in range(5)))
        async with archive.database.writing() as connection:
            await connection.execute(delete(EVENTS).where(EVENTS.c.seq <= purged))
        for seq in range(kept_after):
            assert await archive.refusal(EVENTS_AFTER, after=event_cursors(CUSTOMER).encode(seq)) == "CURSOR_EXPIRED"
        after = event_cursors(CUSTOMER).encode(kept_after)
        async with archive.following(EVENTS_AFTER, after=after) as stream:
            assert len(await take(stream, 6 - purged)) == 6 - purged


class TestCallChanged:
    async def test_those_that_are_there_then_changes(self, archive: Archive) -> None:
        await archive.keep(call(), call(HELD), ended(call(uid("past"))))
        async with archive.following(CALLS) as stream:
            present = await take(stream, 2)
            assert {(change["kind"], change["call"]["id"]) for change in present} == {
                ("PRESENT", TRANSFERER),
                ("PRESENT", HELD),
            }
            assert await take(stream, 1) == [{"kind": "READY", "call": None}]
            await archive.keep(newer(call(), is_on_hold=True), call(LEG))
            assert [(c["kind"], c["call"]["id"], c["call"]["isOnHold"]) for c in await take(stream, 2)] == [
                ("CHANGED", TRANSFERER, True),
                ("CHANGED", LEG, False),
            ]
            await archive.keep(ended(call(HELD)))
            gone = {"id": HELD, "isOnHold": False, "status": "HANGUP"}
            assert await take(stream, 1) == [{"kind": "GONE", "call": gone}]
            await archive.keep(call(uid("theirs"), customer_id=OTHER_CUSTOMER.customer_id))
            await archive.keep(ended(call(uid("never seen"))))
            assert await is_quiet(archive, stream)

    async def test_a_transfer_that_begins_and_ends_changes_the_calls_of_its_parties(self, archive: Archive) -> None:
        linked = "subscription { callChanged { kind call { id version transferRole transfer { id } } } }"
        await archive.keep(call(), call(HELD), call(uid("stranger")))
        async with archive.following(linked) as stream:
            await take(stream, 4)
            await archive.keep(transfer())
            assert seen(await take(stream, 2)) == {
                TRANSFERER: (2, "TRANSFERER", {"id": TRANSFER}),
                HELD: (2, "HELD", {"id": TRANSFER}),
            }
            await archive.change(transfer(), {"status": Status.FAILED, "tm_end": NOON, "outcome": Outcome.FAILED})
            assert seen(await take(stream, 2)) == {TRANSFERER: (3, None, None), HELD: (3, None, None)}
            assert await is_quiet(archive, stream)

    async def test_a_call_that_joins_a_transfer_changes(self, archive: Archive) -> None:
        linked = "subscription { callChanged { kind call { id version transferRole transfer { id } } } }"
        joining = call(uid("joining"))
        await archive.keep(transfer(), joining)
        async with archive.following(linked) as stream:
            await take(stream, 2)
            await archive.change(transfer(), {"held": (*transfer().held, HeldParty(joining.id))})
            assert seen(await take(stream, 1)) == {joining.id: (2, "HELD", {"id": TRANSFER})}

    async def test_a_party_that_has_left_is_told_of_the_end_too(self, archive: Archive) -> None:
        linked = "subscription { callChanged { kind call { id version transferRole transfer { id } } } }"
        await archive.keep(transfer(), call(HELD, confbridge_id=uid("elsewhere")))
        async with archive.following(linked) as stream:
            await take(stream, 2)
            over = {"status": Status.ABANDONED, "tm_end": NOON, "outcome": Outcome.ABANDONED}
            await archive.change(transfer(), {"held": ()}, over)
            assert seen(await take(stream, 1)) == {HELD: (2, None, None)}

    async def test_what_leaves_the_filter_is_gone_and_may_come_back(self, archive: Archive) -> None:
        await archive.keep(call())
        async with archive.following(CALLS, filter={"confbridgeId": BRIDGE}) as stream:
            assert [change["kind"] for change in await take(stream, 2)] == ["PRESENT", "READY"]
            elsewhere = newer(call(), confbridge_id=uid("elsewhere"))
            await archive.keep(elsewhere)
            assert [change["kind"] for change in await take(stream, 1)] == ["GONE"]
            await archive.keep(newer(elsewhere, is_on_hold=True))
            await archive.keep(replace(newer(elsewhere), confbridge_id=BRIDGE, revision=9))
            assert [change["kind"] for change in await take(stream, 1)] == ["CHANGED"]

    async def test_more_than_are_read_at_once(self, archive: Archive) -> None:
        await archive.keep(*(call(uid(f"call {n}")) for n in range(230)))
        async with archive.following(CALLS) as stream:
            changes = await take(stream, 231)
            assert len({change["call"]["id"] for change in changes if change["call"]}) == 230
            await archive.keep(*(newer(call(uid(f"call {n}")), is_on_hold=True) for n in range(230)))
            assert {change["kind"] for change in await take(stream, 230)} == {"CHANGED"}

    async def test_a_change_before_ready_is_told_once(self, archive: Archive) -> None:
        calls = [call(uid(f"call {n}")) for n in range(150)]
        await archive.keep(*calls)
        async with archive.following(CALLS) as stream:
            seen = await take(stream, 1)
            await archive.keep(*(newer(one, is_on_hold=True) for one in calls))
            seen += await take(stream, 150)
            assert seen[-1]["kind"] == "READY"
            changed = await take(stream, 100)
            assert {change["kind"] for change in changed} == {"CHANGED"}
            assert await is_quiet(archive, stream)

    async def test_the_unknown_is_refused(self, archive: Archive) -> None:
        assert await archive.refusal(CALLS, filter={"direction": "UNKNOWN"}) == "BAD_USER_INPUT"


def newer(one: Call, **changes: Any) -> Call:
    return replace(one, revision=one.revision + 1, **changes)


@pytest.mark.parametrize(
    ("document", "missing"),
    [
        (CHANGED, Permission.TRANSFERS_READ),
        (EVENTS_AFTER, Permission.TRANSFERS_READ),
        (CALLS, Permission.CALLS_READ),
    ],
)
async def test_a_missing_right_ends_it_before_it_begins(archive: Archive, document: str, missing: Permission) -> None:
    await archive.keep(transfer())
    who = viewer(CUSTOMER, *(set(Permission) - {missing}))
    variables = {"id": TRANSFER} if document is CHANGED else {}
    assert await archive.refusal(document, who, **variables) == "FORBIDDEN"


@pytest.mark.parametrize("document", [CHANGED, EVENTS_AFTER, CALLS])
async def test_a_subscriber_that_leaves_leaves_nothing_behind(archive: Archive, document: str) -> None:
    await archive.keep(transfer(), call())
    variables: dict[str, Any] = {"id": TRANSFER} if document is CHANGED else {}
    async with archive.following(document, **variables) as stream:
        waiting = asyncio.ensure_future(rest(stream))
        await archive.broker.waiting.wait()
        assert archive.broker.listeners == 1
        waiting.cancel()
        await asyncio.wait([waiting])
    assert archive.broker.listeners == 0
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_subscription_that_was_never_read_leaves_nothing_behind(archive: Archive) -> None:
    async with archive.following(CALLS):
        pass
    assert archive.broker.listeners == 0
