"""The schema's migrations: where a database stands, and how it gets to the newest state.

Alembic is imported where it is needed: a worker, which only ever asks whether all is migrated, starts
sooner without it.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING

from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.engine import Connection
from sqlalchemy.pool import NullPool

from config.moments import read_moments
from config.settings import PROJECT_ROOT

if TYPE_CHECKING:
    from alembic.config import Config as AlembicConfig

CONNECT_TIMEOUT_SECONDS = 2
MIGRATION_LOCK = 7_240_119

_REVISION = re.compile(r"^(revision|down_revision)\b.*?= *[\"'](\w+)[\"']", re.MULTILINE)


def alembic_config(connection: Connection) -> "AlembicConfig":
    """Alembic's configuration for the database at the other end of `connection`, which `alembic/env.py` takes."""
    from alembic.config import Config as AlembicConfig

    config = AlembicConfig(str(PROJECT_ROOT / "alembic.ini"))
    config.set_main_option("script_location", str(PROJECT_ROOT / "alembic"))
    config.attributes["connection"] = connection
    return config


@lru_cache(maxsize=1)
def _heads() -> frozenset[str]:
    """The newest revisions: those that no other one revises. Read without Alembic, whose import takes half a second."""
    revisions: dict[str, set[str]] = {"revision": set(), "down_revision": set()}
    for script in (PROJECT_ROOT / "alembic" / "versions").glob("*.py"):
        for name, value in _REVISION.findall(script.read_text()):
            revisions[name].add(value)
    return frozenset(revisions["revision"] - revisions["down_revision"])


def at_head(connection: Connection) -> bool:
    """Whether the database has every migration of this code."""
    if connection.execute(text("SELECT to_regclass('alembic_version')")).scalar_one() is None:
        return False
    return set(connection.execute(text("SELECT version_num FROM alembic_version")).scalars()) == _heads()


def migrate(database_url: str, revision: str = "head") -> None:
    """Bring the schema to `revision`; safe to call from many processes at once.

    The advisory lock lets one of them migrate while the others wait, for which the connection has
    neither a statement nor a lock timeout.
    """
    with maintenance_connection(database_url) as connection:
        if revision == "head" and at_head(connection):
            return
        from alembic import command

        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": MIGRATION_LOCK})
        try:
            connection.commit()
            command.upgrade(alembic_config(connection), revision)
            connection.commit()
        finally:
            connection.rollback()
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": MIGRATION_LOCK})
            connection.commit()


@contextmanager
def maintenance_connection(database_url: str) -> Iterator[Connection]:
    """A connection without timeouts, closed after the block."""
    engine = maintenance_engine(database_url)
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def maintenance_engine(database_url: str) -> Engine:
    """An engine without pool and timeouts, for migrations, checks and loads."""
    engine = create_engine(
        database_url,
        poolclass=NullPool,
        connect_args={
            "connect_timeout": CONNECT_TIMEOUT_SECONDS,
            "options": "-c statement_timeout=0 -c lock_timeout=0 -c timezone=UTC",
        },
    )
    event.listen(engine, "connect", lambda connection, record: read_moments(connection))
    return engine
