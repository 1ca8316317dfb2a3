"""The invariants of transfers, checked against the tables of the record and of the simulated phones."""

from collections import defaultdict
from typing import Any

from sqlalchemy import RowMapping, Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.calls import CallStatus
from app.domain.orders import OrderKind
from app.domain.transfer import TERMINAL, DialOutcome, SpeakingTo, Status, Transfer, derived_id
from app.storage.columns import table
from app.storage.database import Database
from app.storage.orders import REFUSED, WAITING
from app.storage.rows import transfer_from
from app.storage.tables import CallRow, EventRow, OrderRow, TransferRow
from app.telephony.simulator.tables import SimulatedBridgeRow, SimulatedPhoneRow

LEGAL: dict[Status | None, set[Status]] = {
    None: {Status.STARTING},
    Status.STARTING: {Status.STARTING, Status.RINGING, Status.TRANSFERRING, Status.ENDING},
    Status.RINGING: {Status.RINGING, Status.CONSULTING, Status.TRANSFERRING, Status.ENDING},
    Status.CONSULTING: {Status.CONSULTING, Status.MERGED, Status.ENDING},
    Status.MERGED: {Status.MERGED, Status.CONSULTING, Status.ENDING},
    Status.TRANSFERRING: {Status.TRANSFERRING, Status.RECALLING, Status.ENDING},
    Status.RECALLING: {Status.RECALLING, Status.ENDING},
    Status.ENDING: {Status.ENDING, *TERMINAL},
    **{status: {status} for status in TERMINAL},
}


class World:
    """The contents of the database at one moment."""

    @classmethod
    async def read(cls, database: Database) -> "World":
        async with database.reading() as connection:
            world = cls()
            world.transfers = [transfer_from(row) for row in await _all(connection, table(TransferRow))]
            world.events = _grouped(await _all(connection, table(EventRow)), "transfer_id", "version")
            world.logs = _grouped(await _all(connection, table(EventRow)), "customer_id", "seq")
            world.orders = _grouped(await _all(connection, table(OrderRow)), "transfer_id", "position")
            world.calls = {row["id"]: row for row in await _all(connection, table(CallRow))}
            world.phones = {row["id"]: row for row in await _all(connection, table(SimulatedPhoneRow))}
            world.bridges = {row["id"]: row for row in await _all(connection, table(SimulatedBridgeRow))}
        return world

    transfers: list[Transfer]
    events: dict[str, list[RowMapping]]
    logs: dict[str, list[RowMapping]]
    orders: dict[str, list[RowMapping]]
    calls: dict[str, RowMapping]
    phones: dict[str, RowMapping]
    bridges: dict[str, RowMapping]

    def check(self) -> None:
        """Check the invariants that hold at any moment."""
        self._check_logs()
        self._check_locks()
        for t in self.transfers:
            self._check_story(t)
            self._check_answer(t)
            if t.is_live:
                self._check_privacy(t)
            elif not self._gave_up(t):
                self._check_put_right(t)

    def check_at_rest(self) -> None:
        """Check the invariants that hold when every report has been processed and every order carried out."""
        self.check()
        for t in self.transfers:
            if not t.is_live:
                self._check_nothing_is_left(t)
        for id_, phone in self.phones.items():
            known = self.calls[id_]
            assert known["status"] == phone["status"], f"call {id_} is known as {known['status']}"
            assert known["revision"] == phone["revision"]
            assert known["confbridge_id"] == phone["confbridge_id"]

    def _check_nothing_is_left(self, t: Transfer) -> None:
        assert not any(order["state"] == WAITING for order in self.orders[t.id]), "I11: an order waits"
        if not self._gave_up(t):
            legs = [leg for id_ in t.leg_ids if (leg := self._up(id_))]
            assert all(leg["confbridge_id"] for leg in legs), "I11: a leg of ours is up outside the bridge"

    def _check_logs(self) -> None:
        for log in self.logs.values():
            assert [event["seq"] for event in log] == list(range(1, len(log) + 1)), "I5: the log has a gap"

    def _check_locks(self) -> None:
        live = [t for t in self.transfers if t.is_live]
        assert len({t.transferer_call_id for t in live}) == len(live), "I7: two live transfers of one call"
        assert len({t.confbridge_id for t in live}) == len(live), "I7: two live transfers of one bridge"

    def _check_story(self, t: Transfer) -> None:
        story = self.events[t.id]
        assert [event["version"] for event in story] == list(range(1, t.version + 1)), "I4, I5: an event per version"
        was = None
        for event in story:
            assert event["previous_status"] == (was and was.value), (
                "I5: the previous status is not that of the event before"
            )
            assert Status(event["status"]) in LEGAL[was], f"I4: {was} became {event['status']}"
            was = Status(event["status"])
        assert was is t.status
        ends = [e for e in story if e["status"] in TERMINAL and e["previous_status"] not in TERMINAL]
        assert len(ends) == (0 if t.is_live else 1), "I4: exactly one change into a terminal status"
        assert (t.tm_end is None) is t.is_live, "I7: the lock exists if and only if the transfer is live"

    def _check_answer(self, t: Transfer) -> None:
        answered = [a.call_id for a in t.attempts if a.outcome is DialOutcome.ANSWERED]
        assert answered == ([t.transferee_call_id] if t.transferee_call_id else []), "I6"
        legs = [self._up(a.call_id) for a in t.attempts]
        joined = [leg for leg in legs if leg and leg["confbridge_id"] == t.confbridge_id]
        assert len(joined) <= 1, "I8: two destinations in the bridge"

    def _check_put_right(self, t: Transfer) -> None:
        parties = t.party_ids
        busy = {id_ for other in self.transfers if other.is_live for id_ in _parties(other)}
        for phone in filter(None, map(self._up, parties)):
            if phone["id"] not in busy:
                assert phone["ordered"] is None, f"I1: {phone['ordered']} by us after {t.status} ({t.outcome_reason})"
        for id_ in t.leg_ids:
            leg = self._up(id_)
            assert leg is None or leg["status"] == CallStatus.PROGRESSING, f"I2: a leg still rings after {t.status}"
        bridge = self.bridges.get(t.confbridge_id)
        in_use = any(other.is_live and other.confbridge_id == t.confbridge_id for other in self.transfers)
        assert bridge is None or in_use or not bridge["is_kept_alive"], "I3: the bridge is still kept alive"

    def _check_privacy(self, t: Transfer) -> None:
        if any(order["state"] == WAITING for order in self.orders[t.id]) or self._gave_up(t):
            return
        held = [phone for id_ in t.held_call_ids if (phone := self._in_bridge(t, id_))]
        destination = self._in_bridge(t, t.transferee_call_id)
        apart = t.status in (Status.RINGING, Status.CONSULTING)
        if apart and t.speaking_to in (SpeakingTo.NONE, SpeakingTo.DESTINATION):
            assert all(phone["ordered"] == OrderKind.HOLD for phone in held), "I9: a held party is not on hold"
        if t.status is Status.CONSULTING and t.speaking_to is SpeakingTo.HELD and destination:
            assert destination["ordered"] == OrderKind.HOLD, "I9: the destination is not on hold"

    def _gave_up(self, t: Transfer) -> bool:
        """Return whether an order was given up. Then some calls may be left held or muted, as the log says."""
        return any(order["state"] == REFUSED for order in self.orders[t.id])

    def _up(self, id_: str | None) -> RowMapping | None:
        phone = self.phones.get(id_ or "")
        return phone if phone and phone["status"] != CallStatus.HANGUP else None

    def _in_bridge(self, t: Transfer, id_: str | None) -> RowMapping | None:
        phone = self._up(id_)
        return phone if phone and phone["confbridge_id"] == t.confbridge_id else None


def _parties(t: Transfer) -> set[str]:
    return {*t.party_ids, derived_id(t.id, "recall", 1)}


async def _all(connection: AsyncConnection, rows: Table) -> list[RowMapping]:
    return list((await connection.execute(select(rows))).mappings().all())


def _grouped(rows: list[RowMapping], by: str, order: str) -> dict[str, list[RowMapping]]:
    grouped: dict[str, list[Any]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row[order]):
        grouped[row[by]].append(row)
    return grouped
