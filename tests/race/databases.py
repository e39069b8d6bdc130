"""Migrated databases of a test's own, for what would disturb the tests that share one."""

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any

import psycopg2
from psycopg2 import sql
from sqlalchemy import make_url
from sqlalchemy.orm import Session

from infrastructure.database.migrations import maintenance_engine, migrate
from infrastructure.database.prepared import Parameters, Prepared
from infrastructure.embedded.servers import ServerUrls
from services.verification import VerificationService

# A statement in this database waits for a lock. `pg_locks` shows those of all databases, also of other tests.
WAITING = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"

_numbers = itertools.count()


def process_number() -> int:
    """0, 1, 2, … in the processes of pytest-xdist, 0 without it."""
    return int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))


@contextmanager
def connected(url: str) -> Iterator[Any]:
    """A psycopg2 connection to the database of this SQLAlchemy URL, which commits every statement.

    What it has locked is free when the block is left.
    """
    connection = psycopg2.connect(url.replace("+psycopg2", ""))
    connection.autocommit = True
    try:
        yield connection
    finally:
        close(connection)


def close(connection: Any) -> None:
    """Close it, its locks first: PostgreSQL learns of the end of a connection a moment after the client."""
    # The server may have ended meanwhile.
    with suppress(psycopg2.Error), connection.cursor() as cursor:
        cursor.execute("ROLLBACK; SELECT pg_advisory_unlock_all()")
    connection.close()


def end_connections(url: str, condition: str) -> None:
    """Have PostgreSQL end the connections to the database that this SQL holds for, and wait until they are gone."""
    ending = "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE datname = current_database()"
    execute(url, f"{ending} AND pid <> pg_backend_pid() AND {condition}")


def execute(url: str, statement: str, *parameters: object) -> None:
    """Run one statement, or several without parameters."""
    with connected(url) as connection, connection.cursor() as cursor:
        cursor.execute(statement, parameters or None)


def rows_of(url: str, query: str, *parameters: object) -> list[tuple[Any, ...]]:
    """The rows that the query gives."""
    with connected(url) as connection, connection.cursor() as cursor:
        cursor.execute(query, parameters or None)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def execute_prepared(cursor: Any, statement: Prepared, parameters: Parameters) -> None:
    """Prepare the statement on a new connection of psycopg2's, and execute it."""
    cursor.execute(f"PREPARE {statement.name} AS {statement.text}")
    cursor.execute(execution_of(statement), parameters)


def execution_of(statement: Prepared) -> str:
    """The SQL that executes a statement that is prepared, with the places of its parameters for psycopg2."""
    return f"EXECUTE {statement.name} ({', '.join(f'%({name})s' for name in statement.parameters)})"


def new_database(server_url: str, source: str | None = None) -> str:
    """The URL of a new database on the server of `server_url`: a copy of `source`, else migrated and empty.

    Nobody may be connected to `source` meanwhile.
    """
    return _create(server_url, source or _empty_shop(server_url))


def breaches(url: str) -> list[str]:
    """Every line that the verification of the invariants has to say against this database."""
    engine = maintenance_engine(url)
    try:
        with Session(engine.execution_options(isolation_level="REPEATABLE READ")) as session:
            return [breach for finding in VerificationService(session).findings() for breach in finding.breaches]
    finally:
        engine.dispose()


@lru_cache
def _empty_shop(server_url: str) -> str:
    url = _create(server_url, None)
    migrate(url)
    return url


def _create(server_url: str, source: str | None) -> str:
    name = f"own_{process_number()}_{next(_numbers)}"
    template = "template1" if source is None else str(make_url(source).database)
    statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
    with connected(server_url) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
    return make_url(server_url).set(database=name).render_as_string(hide_password=False)


@contextmanager
def session_on_rows(servers: ServerUrls, *statements: str) -> Iterator[Session]:
    """A session on a new database whose rows these statements make, and which the planner knows of."""
    url = new_database(servers.database_url)
    for statement in (*statements, "VACUUM ANALYZE"):
        execute(url, statement)
    engine = maintenance_engine(url)
    try:
        with Session(engine) as session:
            yield session
    finally:
        engine.dispose()
