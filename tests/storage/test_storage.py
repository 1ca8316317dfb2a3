"""The database: tables match the models, no update is lost, and unique constraints hold."""

import asyncio
import gc
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, event, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.addresses import Address, AddressType
from app.domain.calls import ConferenceStatus
from app.domain.groupcalls import groupcall_of
from app.domain.transfer import DialOutcome, Status
from app.storage import calls, conferences, events, groupcalls, transfers
from app.storage.columns import metadata, wire_time
from app.storage.counters import last_number, next_number
from app.storage.database import Database
from app.telephony.simulator import bridges, phones
from app.telephony.simulator.phones import Phone
from tests.builders import BRIDGE, CUSTOMER, HELD, LEG, NOON, TRANSFERER, bridge, call, ended, leg, transfer, uid


async def test_the_migrations_make_the_tables_of_the_models(database: Database) -> None:
    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    async with database.reading() as connection:
        assert await connection.run_sync(differences) == []


def test_the_migrations_know_the_tables_of_every_engine(empty_database: Path) -> None:
    """Check it in a process of its own: `app.main` imports every engine, and with it the tables of each."""
    found = subprocess.run([sys.executable, "-c", CHECK, str(empty_database)], capture_output=True, text=True)
    assert (found.returncode, found.stderr) == (0, "")


CHECK = """
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from alembic import command
from sqlalchemy import create_engine
import app.main
from app.storage.columns import metadata
from app.storage.migrations.run import configuration

with create_engine(f"sqlite:///{sys.argv[1]}").connect() as connection:
    config = configuration(connection)
    config.attributes["metadata"] = metadata
    command.check(config)
"""


async def test_sqlite_keeps_its_promises(database: Database) -> None:
    async with database.reading() as connection:
        found = [
            (await connection.execute(text(f"PRAGMA {name}"))).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    assert found == ["wal", 2, 1]


async def test_no_update_is_lost(database: Database) -> None:
    async def count() -> None:
        async with database.writing() as connection:
            before = await last_number(connection, CUSTOMER, "test")
            assert await next_number(connection, CUSTOMER, "test") == before + 1

    await asyncio.gather(*(count() for _ in range(50)))
    async with database.reading() as connection:
        assert await last_number(connection, CUSTOMER, "test") == 50


async def test_nor_between_processes(database: Database) -> None:
    """Two Database objects on one file act like two processes."""
    other = Database(database.url.render_as_string())
    try:
        for turn in range(10):
            await asyncio.gather(_count(database), _count(other))
            async with database.reading() as connection:
                assert await last_number(connection, CUSTOMER, "test") == 2 * (turn + 1)
    finally:
        await other.close()


async def _count(database: Database) -> None:
    async with database.writing() as connection:
        await next_number(connection, CUSTOMER, "test")


async def test_what_fails_leaves_nothing_behind(database: Database) -> None:
    async def fail() -> None:
        async with database.writing() as connection:
            await next_number(connection, CUSTOMER, "test")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    async with database.reading() as connection:
        assert await last_number(connection, CUSTOMER, "test") == 0


async def test_work_that_is_cancelled_locks_nobody_out(database: Database) -> None:
    """The work can be cancelled at any moment, and a traceback can keep its cursors alive."""
    other = Database(database.url.render_as_string(), busy_seconds=0.5)
    gc.disable()
    try:
        for moment in range(40):
            work = asyncio.create_task(_count(other))
            for _ in range(moment):
                await asyncio.sleep(0.00005)
            work.cancel()
            await asyncio.wait([work])
            await _count(other)
    finally:
        gc.enable()
        await other.close()


async def test_a_transfer_reads_as_it_was_written(database: Database) -> None:
    for status in Status:
        t = transfer(status, id=uid(status), transferer_call_id=uid(f"T {status}"), confbridge_id=uid(f"B {status}"))
        t = replace(t, note="nöte", metadata={"b": "2", "a": "1"}, idempotency_key=status.value)
        async with database.writing() as connection:
            await transfers.add(connection, t)
        async with database.reading() as connection:
            assert await transfers.by_id(connection, t.id) == t


async def _add(connection: AsyncConnection, name: str, **changes: object) -> None:
    plain = transfer(id=uid(name), transferer_call_id=uid(f"T {name}"), confbridge_id=uid(f"B {name}"))
    await transfers.add(connection, replace(plain, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "same",
    [{"transferer_call_id": TRANSFERER}, {"confbridge_id": BRIDGE}, {"idempotency_key": "once"}],
    ids=["call", "bridge", "key"],
)
async def test_one_live_transfer_per_call_per_bridge_and_per_key(database: Database, same: dict[str, object]) -> None:
    async with database.writing() as connection:
        await _add(connection, "first", **same)
    with pytest.raises(IntegrityError):
        async with database.writing() as connection:
            await _add(connection, "second", **same)


async def test_an_ended_transfer_gives_its_call_and_bridge_free(database: Database) -> None:
    same = {"transferer_call_id": TRANSFERER, "confbridge_id": BRIDGE}
    async with database.writing() as connection:
        await _add(connection, "first", tm_end=NOON, status=Status.FAILED, **same)
        await _add(connection, "second", **same)


async def test_a_version_is_written_once(database: Database) -> None:
    t = transfer()
    async with database.writing() as connection:
        await transfers.add(connection, t)
        assert await transfers.replace(connection, t, replace(t, note="one", version=4))
        assert not await transfers.replace(connection, t, replace(t, note="other", version=4))


async def test_a_leg_is_found_before_its_first_report(database: Database) -> None:
    async with database.writing() as connection:
        await transfers.add(connection, transfer())
        for party in (TRANSFERER, HELD):
            assert await transfers.live_ids_of_call(connection, call(party, confbridge_id=None)) == [transfer().id]
        first = leg(transfer().attempts[0].call_id)
        assert await transfers.live_ids_of_call(connection, first) == [transfer().id]
        assert await transfers.live_ids_of_call(connection, call(uid("stranger"), confbridge_id=None)) == []


async def test_a_held_party_that_leaves_and_comes_back_is_held_again(database: Database) -> None:
    alone = replace(transfer(), held=(), version=4)
    back = replace(transfer(), version=5)
    async with database.writing() as connection:
        await transfers.add(connection, transfer())
        assert await transfers.replace(connection, transfer(), alone)
        assert await transfers.replace(connection, alone, back)
        assert await transfers.by_id(connection, back.id) == back


async def test_a_report_counts_although_a_transfer_has_changed_the_version_of_the_call(database: Database) -> None:
    held = call(HELD)
    async with database.writing() as connection:
        for one in (call(), held):
            assert await calls.save(connection, one)
        await transfers.add(connection, transfer())
        assert not await calls.save(connection, held)
        assert await calls.save(connection, replace(held, is_on_hold=True, revision=2))
        found = await calls.by_ids(connection, CUSTOMER, [TRANSFERER, HELD])
    assert {id_: (one.version, one.is_on_hold) for id_, one in found.items()} == {
        TRANSFERER: (2, False),
        HELD: (3, True),
    }


async def test_of_two_tellings_of_a_call_the_newer_counts(database: Database) -> None:
    first, last = call(), ended(call())
    async with database.writing() as connection:
        assert await calls.save(connection, last)
        assert not await calls.save(connection, first)
        assert not await calls.save(connection, last)
        found = await calls.by_ids(connection, first.customer_id, [first.id])
    assert found == {first.id: replace(last, version=1)}


async def test_only_news_of_a_call_takes_a_number_of_the_change_feed(database: Database) -> None:
    first, last = call(), ended(call())
    async with database.writing() as connection:
        for one in (last, first, last):
            await calls.save(connection, one)
        assert await last_number(connection, CUSTOMER, calls.CHANGES) == 1
        assert await calls.save(connection, call(HELD))
        numbers = (await connection.execute(select(calls.calls.c.id, calls.calls.c.seq))).all()
    assert {row.id: row.seq for row in numbers} == {first.id: 1, HELD: 2}


async def test_of_two_reports_on_a_bridge_the_newer_counts(database: Database) -> None:
    first, last = bridge(), replace(bridge(), status=ConferenceStatus.TERMINATED, tm_end=NOON, revision=2)
    async with database.writing() as connection:
        news = [await conferences.save(connection, one) for one in (first, last, first, last)]
        assert news == [True, True, False, False]
        assert await conferences.by_id(connection, BRIDGE) == replace(last, version=2)


async def test_a_report_is_compared_and_recorded_in_one_statement(database: Database) -> None:
    """A writer that reads first and writes afterwards would need the database to itself."""
    verbs: list[str] = []
    async with database.writing() as connection:
        await calls.save(connection, call(HELD))  # begins the customer's change feed
    with statements(database, verbs):
        async with database.writing() as connection:
            await conferences.save(connection, bridge())
            await conferences.save(connection, bridge())
            await calls.save(connection, call())
            await calls.save(connection, call())
    assert verbs == ["BEGIN", "INSERT", "INSERT", "INSERT", "UPDATE", "INSERT"]


@contextmanager
def statements(database: Database, verbs: list[str]) -> Iterator[None]:
    def note(_connection: Connection, _cursor: object, statement: str, *_: object) -> None:
        verbs.append(statement.split()[0])

    for engine in database.engines:
        event.listen(engine, "before_cursor_execute", note)
    yield
    for engine in database.engines:
        event.remove(engine, "before_cursor_execute", note)


async def test_a_groupcall_has_a_new_version_only_when_it_has_changed(database: Database) -> None:
    ringing = transfer(Status.RINGING)
    answered = replace(
        ringing,
        transferee_call_id=LEG,
        attempts=tuple(replace(a, outcome=DialOutcome.ANSWERED) for a in ringing.attempts),
    )
    async with database.writing() as connection:
        await calls.save(connection, leg(LEG, groupcall_id=ringing.groupcall_id))
        for t in (ringing, replace(ringing, note="new"), answered, answered):
            await groupcalls.follow_transfer(connection, t)
        found = await groupcalls.by_ids(connection, CUSTOMER, [ringing.groupcall_id])
    assert found == {ringing.groupcall_id: replace(groupcall_of(answered, {LEG}), version=2)}


async def test_a_groupcall_of_another_customer_is_left_alone(database: Database) -> None:
    theirs = replace(transfer(Status.RINGING), customer_id=uid("another"))
    async with database.writing() as connection:
        await groupcalls.follow_transfer(connection, theirs)
        await groupcalls.follow_transfer(connection, transfer(Status.CONSULTING))
        found = await groupcalls.by_ids(connection, theirs.customer_id, [theirs.groupcall_id])
    assert found == {theirs.groupcall_id: replace(groupcall_of(theirs, ()), version=1)}


async def test_the_log_of_each_customer_is_gapless(database: Database) -> None:
    async with database.reading() as connection:
        assert await events.last_seq(connection, CUSTOMER) == 0


def test_times_sort_as_they_read() -> None:
    assert wire_time(NOON) == "2026-03-01T12:00:00.000000Z"


def test_an_address_is_kept_whole() -> None:
    assert Address(AddressType.SIP, "a@b", name="A").key == (AddressType.SIP, "a@b")


async def test_telephones_are_found_by_more_ids_than_a_statement_takes(database: Database) -> None:
    last = Phone(ended(call()))
    ids = [uid(f"nobody {number}") for number in range(2 * phones.MOST_IDS)]
    async with database.writing() as connection:
        await phones.add(connection, last)
        assert await phones.up_or_of(connection, [*ids, last.call.id]) == [last]
        assert await bridges.up_or_of(connection, ids) == []
