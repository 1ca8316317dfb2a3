"""Alembic's env.py: runs the migrations on the connection in the attributes of its configuration."""

from alembic import context

import app.storage.tables
import app.telephony.simulator.tables  # noqa: F401 - both imports define tables; autogenerate drops those it doesn't see
from app.storage.columns import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transaction_per_migration=False,
)
context.run_migrations()
