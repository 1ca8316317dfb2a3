"""The simulator's own tables: its telephones and bridges outlast the server, as those of a real exchange do."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column, Index, text
from sqlmodel import Field, SQLModel

from app.storage.columns import Timestamp


class SimulatedPhoneRow(SQLModel, table=True):
    __tablename__ = "simulated_phones"
    __table_args__ = (
        Index("simulated_phones_by_bridge", "confbridge_id"),
        Index("simulated_phones_by_status", "status"),
        Index(
            "simulated_phones_by_plan",
            "tm_plan",
            sqlite_where=text("tm_plan IS NOT NULL"),
            postgresql_where=text("tm_plan IS NOT NULL"),
        ),
    )

    id: str = Field(primary_key=True, max_length=36)
    customer_id: str = Field(max_length=36)
    owner_id: str | None = Field(default=None, max_length=36)
    status: str = Field(max_length=16)
    direction: str = Field(max_length=16)
    source: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    destination: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    is_on_hold: bool = False  # the user's own
    mute_direction: str = Field(max_length=16)  # the user's own
    ordered: str | None = Field(default=None, max_length=16)  # HOLD, RINGBACK or OPEN, over the user's own
    hangup_by: str | None = Field(default=None, max_length=16)
    hangup_reason: str | None = Field(default=None, max_length=16)
    groupcall_id: str | None = Field(default=None, max_length=36)
    confbridge_id: str | None = Field(default=None, max_length=36)
    revision: int
    tm_ringing: datetime | None = Field(default=None, sa_column=Column(Timestamp))
    tm_progressing: datetime | None = Field(default=None, sa_column=Column(Timestamp))
    tm_hangup: datetime | None = Field(default=None, sa_column=Column(Timestamp))
    tm_create: datetime = Field(sa_column=Column(Timestamp, nullable=False))
    tm_update: datetime = Field(sa_column=Column(Timestamp, nullable=False))
    plan: str | None = Field(default=None, max_length=16)  # what the phone does next by itself
    tm_plan: datetime | None = Field(default=None, sa_column=Column(Timestamp))


class SimulatedBridgeRow(SQLModel, table=True):
    __tablename__ = "simulated_bridges"
    __table_args__ = (Index("simulated_bridges_by_status", "status"),)

    id: str = Field(primary_key=True, max_length=36)
    customer_id: str = Field(max_length=36)
    type: str = Field(max_length=16)
    status: str = Field(max_length=16)
    name: str
    is_kept_alive: bool = False
    revision: int
    tm_create: datetime = Field(sa_column=Column(Timestamp, nullable=False))
    tm_update: datetime = Field(sa_column=Column(Timestamp, nullable=False))
    tm_end: datetime | None = Field(default=None, sa_column=Column(Timestamp))
