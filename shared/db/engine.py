"""Connections, and the schema's version."""

import time
from pathlib import Path
from typing import TypeVar

import structlog
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from pydantic import TypeAdapter
from sqlalchemy import Connection, Engine, Table, create_engine, select
from sqlalchemy.exc import OperationalError

MIGRATIONS = Path(__file__).parent / "migrations"
T = TypeVar("T")
_log = structlog.get_logger()


def engine(database_url: str) -> Engine:
    """A pool for queries; `database_url` is `postgresql://user@host:port/name`."""
    return create_engine(database_url.replace("postgresql://", "postgresql+psycopg://", 1), pool_pre_ping=True)


def read_all(connection: Connection, table: Table, row_type: type[T]) -> list[T]:
    """Every row of a table as a dataclass whose fields are its columns; text becomes the field's enum."""
    adapter = TypeAdapter(row_type)
    return [adapter.validate_python(dict(row)) for row in connection.execute(select(table)).mappings()]


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config


def migrate(database_url: str, *, patience_seconds: float = 60) -> None:
    """Bring the schema to this code's version; waits for a database that is still starting.

    Raises:
        OperationalError: the database did not answer within `patience_seconds`.
    """
    deadline = time.monotonic() + patience_seconds
    database = engine(database_url)
    while True:
        try:
            with database.begin() as connection:
                config = _config()
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
                return
        except OperationalError:
            if time.monotonic() > deadline:
                raise
            _log.info("waiting for the database")
            time.sleep(0.5)  # start-up only: nothing else runs in this process
        finally:
            database.dispose()


def schema_lag(database_url: str) -> str | None:
    """None when the database has the schema this code needs, else a sentence that says what to do."""
    wanted = ScriptDirectory.from_config(_config()).get_current_head()
    database = engine(database_url)
    try:
        with database.connect() as connection:
            found = MigrationContext.configure(connection).get_current_revision()
    finally:
        database.dispose()
    return None if found == wanted else f"the schema is at {found}, this code needs {wanted}: run 'millrace migrate'"
