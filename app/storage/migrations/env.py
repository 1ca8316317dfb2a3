"""Alembic's env.py: runs the migrations on the connection in the attributes of its configuration.

Whoever compares the tables with the models puts their metadata there as well: the tables of engines are not known here.
"""

from alembic import context

attributes = context.config.attributes
context.configure(
    connection=attributes["connection"],
    target_metadata=attributes.get("metadata"),
    render_as_batch=True,
    transaction_per_migration=False,
)
context.run_migrations()
