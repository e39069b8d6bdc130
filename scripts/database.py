"""The database of a script: the one that the settings name, else the embedded one."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from config.settings import Settings, SettingsError, get_settings
from infrastructure.database.database_url import name_of
from infrastructure.database.migrations import maintenance_engine, migrate, schema_of
from infrastructure.database.suitability import UnsuitableDatabase, require_place
from infrastructure.embedded.servers import EmbeddedServerError, ServerUrls, embedded_urls, running_servers
from infrastructure.server.production_checks import check_database_url, first_line

EXIT_FINE, EXIT_CANNOT = 0, 2


class CannotRun(Exception):
    """The script cannot run on this database; the message is one line."""


# The errors that a script reports in one line, without a traceback.
EXPECTED_ERRORS = (SettingsError, EmbeddedServerError, SQLAlchemyError, UnsuitableDatabase, CannotRun)


@contextmanager
def shop_database(output: TextIO | None = None) -> Iterator[tuple[Engine, ServerUrls]]:
    """An engine for the database, and the URLs of all servers. Raises one of `EXPECTED_ERRORS`.

    The embedded database is migrated, as whoever starts it does; another one must be at the newest migration. The database is
    named on `output` first: see `name_database`.
    """
    settings = get_settings()
    check_database_url(settings)
    name_database(settings, output)
    with running_servers(settings) as urls:
        if settings.outside_database_url is None:
            migrate(urls.database_url)
        engine = maintenance_engine(urls.database_url)
        try:
            with engine.connect() as connection:
                require_place(connection)
                schema = schema_of(connection)
                schema.require_known()
                if not schema.has_every_migration:
                    raise CannotRun("The database is not at the newest migration: run `alembic upgrade head` first")
            yield engine, urls
        finally:
            engine.dispose()


def name_database(settings: Settings, output: TextIO | None = None) -> None:
    """Print which database this is, without its password, to `output` (by default standard output).

    It is the first line of each script: who has several databases sees it before anything happens.
    """
    print(f"Database: {name_of(embedded_urls(settings).database_url)}", file=output or sys.stdout, flush=True)


def report_error(error: Exception) -> int:
    """Print why the script cannot run; the exit code."""
    print(f"Stopped: {first_line(error)}", file=sys.stderr)
    return EXIT_CANNOT
