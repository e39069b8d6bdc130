"""The schema's migrations: where a database stands, and how it gets to the newest state.

Alembic is imported where it is needed: a worker, which only ever asks whether all is migrated, starts
sooner without it.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.engine import Connection
from sqlalchemy.pool import NullPool

from config.settings import PROJECT_ROOT
from infrastructure.database.connection_options import LONG_SILENCE_SECONDS, connection_options
from infrastructure.database.exact_json import read_json, write_json
from infrastructure.database.sessions import set_up
from infrastructure.database.stoppable import Cancellation
from infrastructure.database.suitability import UnsuitableDatabase, require_place

if TYPE_CHECKING:
    from alembic.config import Config as AlembicConfig

_WITHOUT_TIMEOUTS = "SET statement_timeout = 0; SET lock_timeout = 0"

_REVISION = re.compile(r"^(revision|down_revision)\b.*?= *[\"'](\w+)[\"']", re.MULTILINE)
_HISTORY = re.compile(r"at ([\w ]*); has ([\w ]*)")


def alembic_config(connection: Connection) -> "AlembicConfig":
    """Alembic's configuration for the database at the other end of `connection`, which `alembic/env.py` takes."""
    from alembic.config import Config as AlembicConfig

    config = AlembicConfig(str(PROJECT_ROOT / "alembic.ini"))
    config.set_main_option("script_location", str(PROJECT_ROOT / "alembic"))
    config.attributes["connection"] = connection
    return config


@dataclass(frozen=True, slots=True)
class Schema:
    """Where a database stands: its newest revisions, and all that led to them as far as it has them written down."""

    revisions: frozenset[str]
    history: frozenset[str]

    @property
    def has_every_migration(self) -> bool:
        """Whether it has every migration of this code; a newer release may have added others."""
        return self.revisions == heads() or heads() <= self.history

    @property
    def is_newer(self) -> bool:
        """Whether a newer release has added migrations to all those of this code."""
        return self.has_every_migration and self.revisions != heads()

    @property
    def name(self) -> str:
        """Its revisions in a message."""
        return named(self.revisions)

    def require_known(self) -> None:
        """Raise `UnknownSchema` when this code can neither work with the schema nor bring it to its own."""
        if not self.has_every_migration and not self.revisions <= _revisions()["revision"]:
            raise UnknownSchema(
                f"The database is at revision {self.name}, which this release ({named(heads())}) does not know and which "
                "does not follow from its own: it belongs to another release, or to another program"
            )


class UnknownSchema(UnsuitableDatabase):
    """The database has a schema that this code has nothing to do with."""


def named(revisions: Iterable[str]) -> str:
    """The revisions in a message."""
    return ", ".join(sorted(revisions)) or "base"


@lru_cache(maxsize=1)
def _revisions() -> dict[str, frozenset[str]]:
    """The revisions of this code, and those that others revise. Read without Alembic, whose import takes half a second."""
    revisions: dict[str, set[str]] = {"revision": set(), "down_revision": set()}
    for script in (PROJECT_ROOT / "alembic" / "versions").glob("*.py"):
        for name, value in _REVISION.findall(script.read_text()):
            revisions[name].add(value)
    return {name: frozenset(values) for name, values in revisions.items()}


def heads() -> frozenset[str]:
    """The newest revisions of this code: those that no other one revises."""
    return _revisions()["revision"] - _revisions()["down_revision"]


def schema_of(connection: Connection) -> Schema:
    """Where the database at the other end stands."""
    if connection.execute(text("SELECT to_regclass('alembic_version')")).scalar_one() is None:
        return Schema(frozenset(), frozenset())
    revisions = frozenset(connection.execute(text("SELECT version_num FROM alembic_version")).scalars())
    note = connection.execute(text("SELECT obj_description('alembic_version'::regclass, 'pg_class')")).scalar_one()
    return schema_at(revisions, note)


def schema_at(revisions: frozenset[str], note: str | None) -> Schema:
    """What a database with these revisions and this comment on Alembic's table has."""
    found = _HISTORY.fullmatch(note or "")
    # What was written down at another revision, before somebody moved on without a word, says nothing.
    if found is None or frozenset(found[1].split()) != revisions:
        return Schema(revisions, frozenset())
    return Schema(revisions, frozenset(found[2].split()))


def history_statement(at: Iterable[str], history: Iterable[str]) -> str:
    """The SQL that writes down, for older code, which revisions have led to those that the database is `at`.

    Kept as the comment of Alembic's table. It is for code that has never heard of the newest ones.
    """
    return f"COMMENT ON TABLE alembic_version IS 'at {' '.join(sorted(at))}; has {' '.join(sorted(history))}'"


def migrate(database_url: str, revision: str = "head", cancellation: Cancellation | None = None) -> None:
    """Bring the schema to `revision`; safe to call from many processes at once, as is Alembic's command line.

    A schema that a newer release has built on that of this code stays as it is. Raises `UnsuitableDatabase`, and the error of a canceled statement when `cancellation` is requested.
    """
    cancellation = cancellation or Cancellation()
    with maintenance_connection(database_url) as connection, cancellation.covering(connection):
        require_place(connection)
        if revision == "head":
            schema = schema_of(connection)
            schema.require_known()
            if schema.has_every_migration:
                return
        from alembic import command

        config = alembic_config(connection)
        config.attributes["cancellation"] = cancellation
        command.upgrade(config, revision)
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
        connect_args=connection_options(database_url, "shop maintenance", LONG_SILENCE_SECONDS),
        json_deserializer=read_json,
        json_serializer=write_json,
    )
    # Before SQLAlchemy's own questions to a first connection.
    event.listen(engine, "connect", lambda connection, record: set_up(connection, _WITHOUT_TIMEOUTS), insert=True)
    return engine
