"""Runs the migrations of a database up to the newest revision."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

SCRIPTS = Path(__file__).parent


def configuration(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def upgrade(connection: Connection) -> None:
    config = configuration(connection)
    if _present(connection) != ScriptDirectory.from_config(config).get_current_head():
        command.upgrade(config, "head")


def _present(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()
