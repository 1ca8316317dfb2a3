"""The tables. A value is stored as the API returns it: ids and times as text, enums by name, lists as JSON."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column, ForeignKey, Index, String, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from app.storage.columns import Timestamp


class TransferRow(SQLModel, table=True):
    __tablename__ = "transfers"
    __table_args__ = (
        UniqueConstraint("customer_id", "idempotency_key", name="one_transfer_per_idempotency_key"),
        # locks the call and the bridge of a transfer while it is live: until it has a tm_end
        Index(
            "one_live_transfer_per_call",
            "customer_id",
            "transferer_call_id",
            unique=True,
            sqlite_where=text("tm_end IS NULL"),
            postgresql_where=text("tm_end IS NULL"),
        ),
        Index(
            "one_live_transfer_per_bridge",
            "customer_id",
            "confbridge_id",
            unique=True,
            sqlite_where=text("tm_end IS NULL"),
            postgresql_where=text("tm_end IS NULL"),
        ),
        Index(
            "transfers_by_deadline",
            "tm_deadline",
            sqlite_where=text("tm_deadline IS NOT NULL"),
            postgresql_where=text("tm_deadline IS NOT NULL"),
        ),
        Index("transfers_newest_first", "customer_id", "tm_create", "id"),
        Index("transfers_by_status", "customer_id", "status", "tm_create", "id"),
        Index("transfers_by_end", "customer_id", "tm_end", "id"),
        Index("transfers_by_type", "customer_id", "type", "tm_create", "id"),
        Index("transfers_by_starter", "customer_id", "started_by", "tm_create", "id"),
        Index("transfers_by_bridge", "customer_id", "confbridge_id", "tm_create", "id"),
        Index("transfers_by_reason", "customer_id", "outcome_reason", "tm_create", "id"),
        Index("transfers_by_groupcall", "groupcall_id"),
        Index("transfers_by_transferee", "transferee_call_id"),
    )

    id: str = Field(primary_key=True, max_length=36)
    customer_id: str = Field(max_length=36)
    type: str = Field(max_length=16)
    transferer_call_id: str = Field(max_length=36)
    transferer_address: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    transferee_addresses: list[Any] = Field(sa_column=Column(JSON, nullable=False))
    transferee_call_id: str | None = Field(default=None, max_length=36)
    groupcall_id: str = Field(max_length=36)
    confbridge_id: str = Field(max_length=36)
    tm_create: datetime = Field(sa_column=Column(Timestamp, nullable=False))
    tm_update: datetime = Field(sa_column=Column(Timestamp, nullable=False))
    tm_delete: datetime = Field(sa_column=Column(Timestamp, nullable=False))
    held: list[Any] = Field(sa_column=Column(JSON, nullable=False))
    status: str = Field(max_length=16)
    outcome: str | None = Field(default=None, max_length=16)
    outcome_reason: str | None = Field(default=None, max_length=24)
    disposition: str | None = Field(default=None, max_length=16)
    ended_by: str | None = Field(default=None, max_length=16)
    speaking_to: str = Field(max_length=16)
    spoke_to: str = Field(max_length=16)
    spoken_version: int
    ring_method: str = Field(max_length=16)
    ring_timeout: int
    consult_timeout: int | None = None
    on_failure: str = Field(max_length=24)
    recall_attempts: int
    recall_call_id: str | None = Field(default=None, max_length=36)
    attempts: list[Any] = Field(sa_column=Column(JSON, nullable=False))
    previous_transfer_id: str | None = Field(default=None, max_length=36)
    note: str | None = None
    # the column has the name of the public field; SQLModel reserves the attribute `metadata`
    entries: list[Any] = Field(sa_column=Column("metadata", JSON, nullable=False))
    started_by: str | None = None
    idempotency_key: str | None = Field(default=None, max_length=128)
    fingerprint: str | None = Field(default=None, max_length=64)
    version: int
    tm_ringing: datetime | None = Field(default=None, sa_column=Column(Timestamp))
    tm_answer: datetime | None = Field(default=None, sa_column=Column(Timestamp))
    tm_end: datetime | None = Field(default=None, sa_column=Column(Timestamp))
    timer: str | None = Field(default=None, max_length=16)
    tm_deadline: datetime | None = Field(default=None, sa_column=Column(Timestamp))


class PartyRow(SQLModel, table=True):
    """The calls that have a part in each transfer. A leg is listed before its first report can come."""

    __tablename__ = "parties"
    __table_args__ = (Index("parties_by_call", "call_id", "transfer_id"),)

    transfer_id: str = Field(
        sa_column=Column(String(36), ForeignKey("transfers.id", ondelete="CASCADE"), primary_key=True)
    )
    call_id: str = Field(primary_key=True, max_length=36)
    role: str = Field(max_length=16)


class EventRow(SQLModel, table=True):
    __tablename__ = "events"
    __table_args__ = (
        UniqueConstraint("customer_id", "seq", name="one_log_per_customer"),
        UniqueConstraint("transfer_id", "version", name="one_event_per_change"),
    )

    id: str = Field(primary_key=True, max_length=36)
    customer_id: str = Field(max_length=36)
    seq: int
    kind: str = Field(max_length=16)
    transfer_id: str = Field(sa_column=Column(String(36), ForeignKey("transfers.id"), nullable=False))
    type: str = Field(max_length=16)
    version: int
    previous_status: str | None = Field(default=None, max_length=16)
    status: str = Field(max_length=16)
    outcome: str | None = Field(default=None, max_length=16)
    outcome_reason: str | None = Field(default=None, max_length=24)
    speaking_to: str = Field(max_length=16)
    transferee_call_id: str | None = Field(default=None, max_length=36)
    actor_party: str = Field(max_length=16)
    actor_subject: str | None = None
    occurred_at: datetime = Field(sa_column=Column(Timestamp, nullable=False))


class OrderRow(SQLModel, table=True):
    """The outbox: orders to the engine, recorded in the transaction that decides them and carried out by position."""

    __tablename__ = "orders"
    __table_args__ = (
        UniqueConstraint("transfer_id", "position", name="one_order_at_a_position"),
        Index(
            "orders_waiting",
            "transfer_id",
            "position",
            sqlite_where=text("state = 'WAITING'"),
            postgresql_where=text("state = 'WAITING'"),
        ),
    )

    id: int | None = Field(default=None, primary_key=True)
    transfer_id: str = Field(sa_column=Column(String(36), ForeignKey("transfers.id"), nullable=False))
    customer_id: str = Field(max_length=36)
    position: int
    version: int
    state: str = Field(max_length=16)
    tries: int = 0
    kind: str = Field(max_length=24)
    details: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))


class CounterRow(SQLModel, table=True):
    """The last number of each sequence of a customer."""

    __tablename__ = "counters"

    customer_id: str = Field(primary_key=True, max_length=36)
    name: str = Field(primary_key=True, max_length=16)
    value: int


class CallRow(SQLModel, table=True):
    __tablename__ = "calls"
    __table_args__ = (
        Index("calls_newest_first", "customer_id", "tm_create", "id"),
        Index("calls_by_status", "customer_id", "status", "tm_create", "id"),
        Index("calls_by_direction", "customer_id", "direction", "tm_create", "id"),
        Index("calls_by_bridge", "confbridge_id", "tm_create", "id"),
        Index("calls_by_owner", "customer_id", "owner_id", "tm_create", "id"),
        Index("calls_by_source", "customer_id", "source_target", "tm_create", "id"),
        Index("calls_by_destination", "customer_id", "destination_target", "tm_create", "id"),
        Index("calls_by_groupcall", "groupcall_id"),
        UniqueConstraint("customer_id", "seq", name="one_sequence_of_call_changes"),
    )

    id: str = Field(primary_key=True, max_length=36)
    customer_id: str = Field(max_length=36)
    external_id: str | None = None
    owner_id: str | None = Field(default=None, max_length=36)
    status: str = Field(max_length=16)
    direction: str = Field(max_length=16)
    source: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    destination: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    source_target: str
    destination_target: str
    mute_direction: str = Field(max_length=16)
    is_on_hold: bool
    hangup_by: str | None = Field(default=None, max_length=16)
    hangup_reason: str | None = Field(default=None, max_length=16)
    groupcall_id: str | None = Field(default=None, max_length=36)
    confbridge_id: str | None = Field(default=None, max_length=36)
    revision: int
    version: int
    seq: int
    tm_ringing: datetime | None = Field(default=None, sa_column=Column(Timestamp))
    tm_progressing: datetime | None = Field(default=None, sa_column=Column(Timestamp))
    tm_hangup: datetime | None = Field(default=None, sa_column=Column(Timestamp))
    tm_create: datetime = Field(sa_column=Column(Timestamp, nullable=False))
    tm_update: datetime = Field(sa_column=Column(Timestamp, nullable=False))


class GroupcallRow(SQLModel, table=True):
    __tablename__ = "groupcalls"
    __table_args__ = (Index("groupcalls_newest_first", "customer_id", "tm_create", "id"),)

    id: str = Field(primary_key=True, max_length=36)
    customer_id: str = Field(max_length=36)
    external_id: str | None = None
    status: str = Field(max_length=16)
    source: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    destinations: list[Any] = Field(sa_column=Column(JSON, nullable=False))
    ring_method: str = Field(max_length=16)
    answer_call_id: str | None = Field(default=None, max_length=36)
    call_ids: list[Any] = Field(sa_column=Column(JSON, nullable=False))
    version: int
    tm_create: datetime = Field(sa_column=Column(Timestamp, nullable=False))
    tm_update: datetime = Field(sa_column=Column(Timestamp, nullable=False))


class ConferenceRow(SQLModel, table=True):
    __tablename__ = "conferences"
    __table_args__ = (
        Index("conferences_newest_first", "customer_id", "tm_create", "id"),
        Index("conferences_by_status", "status"),
    )

    id: str = Field(primary_key=True, max_length=36)
    customer_id: str = Field(max_length=36)
    external_id: str | None = None
    type: str = Field(max_length=16)
    status: str = Field(max_length=16)
    name: str
    revision: int
    version: int
    tm_create: datetime = Field(sa_column=Column(Timestamp, nullable=False))
    tm_update: datetime = Field(sa_column=Column(Timestamp, nullable=False))
    tm_end: datetime | None = Field(default=None, sa_column=Column(Timestamp))
