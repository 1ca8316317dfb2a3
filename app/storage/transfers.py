"""Transfers: the record, the lock on its call and bridge, and the calls that have a part in it."""

from collections.abc import Collection, Iterable
from datetime import datetime

from sqlalchemy import RowMapping, Select, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.calls import Call
from app.domain.transfer import Party, Transfer
from app.storage import calls
from app.storage.columns import table, unsought
from app.storage.rows import transfer_from, transfer_row
from app.storage.tables import PartyRow, TransferRow

transfers = table(TransferRow)
parties = table(PartyRow)


async def add(connection: AsyncConnection, transfer: Transfer) -> None:
    """Raise IntegrityError when the call or the bridge has a live transfer, or the idempotency key is taken."""
    await connection.execute(insert(transfers).values(transfer_row(transfer)))
    await _add_parties(connection, transfer.id, transfer.roles)
    await calls.touch(connection, transfer.customer_id, _present(transfer))


async def replace(connection: AsyncConnection, before: Transfer, after: Transfer) -> bool:
    """Write the next version (compare-and-set). Return False if another writer was first."""
    row = {name: value for name, value in transfer_row(after).items() if getattr(before, name) != getattr(after, name)}
    written = await connection.execute(
        update(transfers).where(transfers.c.id == after.id, transfers.c.version == before.version).values(row)
    )
    if written.rowcount == 0:
        return False
    if changes_parties(before, after):
        await _follow_parties(connection, after)
    return True


def changes_parties(before: Transfer | None, after: Transfer) -> bool:
    """Return whether this change may set or clear the live transfer of a call."""
    return before is None or before.is_live is not after.is_live or not set(after.party_ids) <= set(before.party_ids)


async def _follow_parties(connection: AsyncConnection, after: Transfer) -> None:
    known = await _party_ids(connection, after.id)  # includes parties that have left: they can come back
    new = {id_: role for id_, role in after.roles.items() if id_ not in known}
    await _add_parties(connection, after.id, new)
    joined = [id_ for id_ in _present(after) if id_ in new]
    await calls.touch(connection, after.customer_id, joined if after.is_live else known)


async def _party_ids(connection: AsyncConnection, transfer_id: str) -> Collection[str]:
    return (await connection.scalars(select(parties.c.call_id).where(parties.c.transfer_id == transfer_id))).all()


def _present(t: Transfer) -> tuple[str, ...]:
    """Return the calls that exist already. Legs are left out: the engine's first report of a leg is a change anyway."""
    return t.transferer_call_id, *t.held_call_ids


async def _add_parties(connection: AsyncConnection, transfer_id: str, roles: dict[str, Party]) -> None:
    rows = [{"transfer_id": transfer_id, "call_id": id_, "role": role.value} for id_, role in roles.items()]
    if rows:
        await connection.execute(insert(parties), rows)


async def by_id(connection: AsyncConnection, transfer_id: str) -> Transfer | None:
    """Return the transfer of any customer. Only for our own work; clients must be limited to their customer."""
    return await _one(connection, select(transfers).where(transfers.c.id == transfer_id))


async def by_ids(connection: AsyncConnection, customer_id: str, ids: Collection[str]) -> dict[str, Transfer]:
    found = await _rows(connection, _found_of(customer_id).where(transfers.c.id.in_(ids)))
    return {row["id"]: transfer_from(row) for row in found}


async def by_groupcalls(connection: AsyncConnection, customer_id: str, ids: Collection[str]) -> dict[str, Transfer]:
    found = await _rows(connection, _found_of(customer_id).where(transfers.c.groupcall_id.in_(ids)))
    return {row["groupcall_id"]: transfer_from(row) for row in found}


async def live_by_calls(
    connection: AsyncConnection, customer_id: str, call_ids: Collection[str]
) -> dict[str, tuple[Transfer, Party]]:
    """Return the live transfer that each call has a part in, with its role."""
    found = await _rows(
        connection,
        select(transfers, parties.c.call_id, parties.c.role)
        .join(parties, parties.c.transfer_id == transfers.c.id)
        .where(
            unsought(transfers.c.customer_id) == customer_id,
            parties.c.call_id.in_(call_ids),
            transfers.c.tm_end.is_(None),
        ),
    )
    return {row["call_id"]: (_without(row, "call_id", "role"), Party(row["role"])) for row in found}


def _without(row: RowMapping, *names: str) -> Transfer:
    return transfer_from({name: value for name, value in row.items() if name not in names})


async def live_ids_of_call(connection: AsyncConnection, call: Call) -> list[str]:
    """Return the live transfers that a report on this call can concern: by its part, and by its bridge."""
    by_part = (
        select(transfers.c.id, transfers.c.confbridge_id)
        .join(parties, parties.c.transfer_id == transfers.c.id)
        .where(
            parties.c.call_id == call.id,
            unsought(transfers.c.customer_id) == call.customer_id,
            transfers.c.tm_end.is_(None),
        )
    )
    found = {row.id: row.confbridge_id for row in await connection.execute(by_part)}
    if call.confbridge_id is None or call.confbridge_id in found.values():
        return list(found)
    in_bridge = await live_of_bridge(connection, call.customer_id, call.confbridge_id)
    return [*found, in_bridge.id] if in_bridge else list(found)


async def ended_ids_of_calls(connection: AsyncConnection, call_ids: Collection[str]) -> list[str]:
    """Return the ids of the ended transfers that one of these calls had a part in."""
    ended = (
        select(transfers.c.id)
        .join(parties, parties.c.transfer_id == transfers.c.id)
        .where(parties.c.call_id.in_(call_ids), transfers.c.tm_end.is_not(None))
        .distinct()
    )
    return list((await connection.scalars(ended)).all())


async def live_ids(connection: AsyncConnection) -> list[str]:
    return list((await connection.scalars(select(transfers.c.id).where(transfers.c.tm_end.is_(None)))).all())


async def party_ids(connection: AsyncConnection, transfer_ids: Collection[str]) -> list[str]:
    """Return the ids of the calls in these transfers, including legs that may not have been dialled yet."""
    wanted = select(parties.c.call_id).where(parties.c.transfer_id.in_(transfer_ids))
    return list((await connection.scalars(wanted)).all())


async def live_party_ids(connection: AsyncConnection) -> list[str]:
    """Return the ids of the calls in all live transfers, including legs that may not have been dialled yet."""
    of_live = select(parties.c.call_id).join(transfers, transfers.c.id == parties.c.transfer_id)
    return list((await connection.scalars(of_live.where(transfers.c.tm_end.is_(None)))).all())


async def live_by_status(connection: AsyncConnection) -> dict[str, int]:
    """Return the number of live transfers of all customers, by status."""
    counted = select(transfers.c.status, func.count()).where(transfers.c.tm_end.is_(None))
    return {row[0]: row[1] for row in await connection.execute(counted.group_by(transfers.c.status))}


async def live_of_transferer(connection: AsyncConnection, customer_id: str, call_id: str) -> Transfer | None:
    return await _one(connection, _live(customer_id).where(transfers.c.transferer_call_id == call_id))


async def live_of_bridge(connection: AsyncConnection, customer_id: str, confbridge_id: str) -> Transfer | None:
    return await _one(connection, _live(customer_id).where(transfers.c.confbridge_id == confbridge_id))


async def live_of_transferee(connection: AsyncConnection, customer_id: str, call_id: str) -> Transfer | None:
    live = _found_of(customer_id).where(transfers.c.transferee_call_id == call_id, transfers.c.tm_end.is_(None))
    return await _one(connection, live)


async def latest_that_brought(connection: AsyncConnection, customer_id: str, call_id: str) -> str | None:
    """Return the id of the latest transfer that had this call as its destination."""
    brought = (
        select(transfers.c.id)
        .where(transfers.c.transferee_call_id == call_id, unsought(transfers.c.customer_id) == customer_id)
        .order_by(transfers.c.tm_create.desc())
        .limit(1)
    )
    found: str | None = (await connection.execute(brought)).scalar()
    return found


async def by_idempotency_key(connection: AsyncConnection, customer_id: str, key: str) -> Transfer | None:
    once = (transfers.c.customer_id == customer_id) & (transfers.c.idempotency_key == key)
    return await _one(connection, select(transfers).where(once))


async def deadlines(connection: AsyncConnection, until: datetime | None = None) -> list[tuple[str, datetime]]:
    """Return the ids and deadlines of the transfers with a running timer. `until` selects those due by then."""
    deadline = transfers.c.tm_deadline
    running = select(transfers.c.id, deadline).where(deadline.is_not(None) if until is None else deadline <= until)
    return [(row.id, row.tm_deadline) for row in await connection.execute(running)]


def _found_of(customer_id: str) -> Select[tuple[object, ...]]:
    return select(transfers).where(unsought(transfers.c.customer_id) == customer_id)


def _live(customer_id: str) -> Select[tuple[object, ...]]:
    return select(transfers).where(transfers.c.customer_id == customer_id, transfers.c.tm_end.is_(None))


async def _rows(connection: AsyncConnection, query: Select[tuple[object, ...]]) -> Iterable[RowMapping]:
    return (await connection.execute(query)).mappings().all()


async def _one(connection: AsyncConnection, query: Select[tuple[object, ...]]) -> Transfer | None:
    row = (await connection.execute(query.limit(1))).mappings().first()
    return transfer_from(row) if row else None
