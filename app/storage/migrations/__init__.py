"""The Alembic migrations of the tables, configured in code."""
