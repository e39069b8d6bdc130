"""The database that a script works on: the one that the settings name, else the embedded one."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from sqlalchemy import Engine, make_url
from sqlalchemy.exc import SQLAlchemyError

from config.embedded import EmbeddedServerError, ServerUrls, running_servers
from config.migrations import at_head, maintenance_engine
from config.production import check_database_url, first_line
from config.settings import SettingsError, get_settings

EXIT_FINE, EXIT_CANNOT = 0, 2


class CannotRun(Exception):
    """Nothing can be done on this database; the message is one line."""


# What a script says in one line, instead of a traceback.
REASONS = (SettingsError, EmbeddedServerError, SQLAlchemyError, CannotRun)


@contextmanager
def shop_database(output: TextIO | None = None) -> Iterator[tuple[Engine, ServerUrls]]:
    """An engine on the database, and where all servers are. Raises one of `REASONS`.

    The database is named on `output`, standard output unless given, before anything is asked of it.
    """
    settings = get_settings()
    check_database_url(settings)
    with running_servers(settings) as urls:
        print(f"Database: {name_of(urls.database_url)}", file=output or sys.stdout, flush=True)
        engine = maintenance_engine(urls.database_url)
        try:
            with engine.connect() as connection:
                if not at_head(connection):
                    raise CannotRun("The database is not at the newest migration: run `alembic upgrade head` first")
            yield engine, urls
        finally:
            engine.dispose()


def name_of(url: str) -> str:
    """The database at `url` as people call it, without its password."""
    address = make_url(url)
    host = address.host or address.query.get("host") or "this machine"
    where = host if isinstance(host, str) else ", ".join(host)
    port = "" if where.startswith("/") else f":{address.port or 5432}"
    return (
        f"{address.database or address.username} on {where}{port}, as {address.username or 'the account of this user'}"
    )


def stopped_by(error: Exception) -> int:
    """Say why nothing can be done; the exit code."""
    print(f"Stopped: {first_line(error)}", file=sys.stderr)
    return EXIT_CANNOT
