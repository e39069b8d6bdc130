"""Whether the shop can work with a database at all: found out before its tables are touched, and said in one line."""

from contextlib import ExitStack, closing, suppress
from typing import Any

import psycopg2
from sqlalchemy import text
from sqlalchemy.engine import Connection

from infrastructure.database.connection_options import connection_options
from infrastructure.database.database_url import target_of
from infrastructure.database.sessions import answered_soon

_SHARED = (
    "The pooler in front of PostgreSQL gives a connection to other clients between transactions, and the shop needs its "
    "own: set `pool_mode = session` for it in PgBouncer, or name PostgreSQL itself in DATABASE_URL"
)
# While other clients of the pooler are served, it takes some to see that connections are shared.
_ROUNDS = 5

_PLACE = (
    "SELECT current_setting('server_encoding'), current_database(), current_schema(), current_setting('search_path')"
)


class UnsuitableDatabase(RuntimeError):
    """The shop cannot work with the database as it is; the message is one line, which says what to do."""


def require_place(connection: Connection) -> None:
    """Raise `UnsuitableDatabase` for a database that cannot hold every text, or has no schema for the shop's tables."""
    encoding, name, schema, path = connection.execute(text(_PLACE)).one()
    # A database keeps its encoding for good.
    if encoding != "UTF8":
        raise UnsuitableDatabase(
            f"The database {name!r} has the encoding {encoding}, and the shop needs UTF8: create another one with "
            "CREATE DATABASE … ENCODING 'UTF8' LOCALE 'C' TEMPLATE template0, and name it in DATABASE_URL or POSTGRES_DB"
        )
    if schema is None:
        raise UnsuitableDatabase(
            f"The database {name!r} has no schema that its search_path ({path}) names, or its role may not use it: "
            "CREATE SCHEMA first, or set another search_path"
        )


def require_own_backend(url: str) -> None:
    """Raise `UnsuitableDatabase` for a pooler that gives the connections of PostgreSQL to other clients in between.

    Timeouts, `LISTEN` and the advisory lock of migrations belong to a connection. With such a pooler two clients are
    served by one process of PostgreSQL while both are there, or one client by several.
    """
    with ExitStack() as stack:
        clients = [stack.enter_context(closing(_connection(url)))]
        with suppress(psycopg2.OperationalError):
            # Where only one is to be had, it is not shared.
            clients.append(stack.enter_context(closing(_connection(url))))
        served_by = [{_backend(client) for _ in range(_ROUNDS)} for client in clients]
    if any(len(backends) > 1 for backends in served_by) or (len(clients) > 1 and served_by[0] & served_by[1]):
        raise UnsuitableDatabase(_SHARED)


def _connection(url: str) -> Any:
    connection = psycopg2.connect(**{**target_of(url).options, **connection_options(url, "shop start")})
    connection.autocommit = True
    with answered_soon(connection):
        _backend(connection)
    return connection


def _backend(connection: Any) -> Any:
    """The process of PostgreSQL that serves the connection now."""
    with connection.cursor() as cursor:
        # Servers on several machines may give one number twice, but not at the same time.
        # A setting for longer would stay with a backend that others use, too.
        cursor.execute(
            "SET LOCAL statement_timeout = 0; "
            "SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()"
        )
        return cursor.fetchone()
