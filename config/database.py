"""The database for people and scripts: `create_tables`, `drop_database`, `check_connection`, `DATABASE_URI`.

They use the embedded server, and start it if needed, when the settings name no outside one.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, InvalidRequestError

from config.settings import Settings, get_settings
from infrastructure.database.migrations import maintenance_connection, migrate

log = logging.getLogger("shop.database")


@contextmanager
def _reachable_database() -> Iterator[str]:
    from infrastructure.embedded.servers import running_servers

    with running_servers(get_settings()) as servers:
        yield servers.database_url


def create_tables() -> None:
    """Bring the database that the settings name to the newest schema."""
    with _reachable_database() as url:
        migrate(url)


def drop_database() -> None:
    """Delete everything in the shop's schema of the database, which is `public` if the URL says nothing else."""
    with _reachable_database() as url, maintenance_connection(url) as connection:
        schema = connection.execute(text("SELECT quote_ident(current_schema())")).scalar_one()
        connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
        connection.execute(text(f"CREATE SCHEMA {schema}"))
        connection.commit()


def check_connection() -> bool:
    """Whether the database that the settings name answers."""
    try:
        with _reachable_database() as url, maintenance_connection(url) as connection:
            connection.execute(text("SELECT 1"))
    except (DBAPIError, InvalidRequestError, RuntimeError, ValueError) as error:
        log.error("The database does not answer: %s", str(error).partition("\n")[0])
        return False
    return True


def database_uri(settings: Settings) -> str:
    """The URL of the outside server, or of the embedded one that would be started. Opens nothing."""
    if settings.outside_database_url is not None:
        return settings.outside_database_url
    from infrastructure.embedded.servers import embedded_urls

    return embedded_urls(settings).database_url


def __getattr__(name: str) -> str:
    # DATABASE_URI is part of this module's contract, but an import must not read settings.
    if name == "DATABASE_URI":
        return database_uri(get_settings())
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
