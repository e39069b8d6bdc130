"""How Alembic reaches the database: over the connection it is handed, or the one the settings name."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

import models
from alembic import context
from config.embedded import running_servers
from config.migrations import maintenance_connection
from config.settings import get_settings


@contextmanager
def _connection() -> Iterator[Connection]:
    handed = context.config.attributes.get("connection")
    if handed is not None:
        yield handed
        return
    with running_servers(get_settings()) as servers, maintenance_connection(servers.database_url) as connection:
        yield connection


def _run() -> None:
    with _connection() as connection:
        context.configure(
            connection=connection,
            target_metadata=models.Base.metadata,
            compare_type=True,
            compare_server_default=True,
        )
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()


def _run_offline() -> None:
    """Print the SQL instead of running it (`alembic upgrade head --sql`)."""
    context.configure(dialect_name="postgresql", target_metadata=models.Base.metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    _run_offline()
else:
    _run()
