"""Workers and pools that PostgreSQL has connections for: found out before there are any, and said in one line."""

import os
import sys
from collections.abc import Callable

from config.settings import Settings, export_setting, get_settings
from infrastructure.database.connection_limit import ConnectionLimit, connection_limit, fitted
from infrastructure.database.migrations import maintenance_connection
from infrastructure.database.stoppable import Cancellation, run_stoppable
from infrastructure.database.suitability import require_own_backend
from infrastructure.embedded.postgres_server import connections_for
from infrastructure.server.production_checks import wait_for_database


def fit_to_database(settings: Settings, url: str, seconds: float, stopping: Callable[[], bool]) -> Settings:
    """Wait for PostgreSQL, for so many seconds at most; the settings for it. Workers that read theirs get the same.

    Raises what `wait_for_database` and `require_own_backend` do.
    """
    limits: list[ConnectionLimit] = []

    def look() -> None:
        wait_for_database(url, seconds, stopping)
        if not stopping():
            require_own_backend(url)
            with maintenance_connection(url) as connection:
                limits.append(connection_limit(connection))

    run_stoppable(look, Cancellation(), stopping)
    return _fit(settings, limits[0]) if limits else settings


def fit_to_embedded(settings: Settings) -> Settings:
    """The same for the embedded PostgreSQL, which need not be there yet."""
    limit = ConnectionLimit(connections_for(os.cpu_count() or 1), "max_connections of the embedded server")
    return _fit(settings, limit)


def _fit(settings: Settings, limit: ConnectionLimit) -> Settings:
    settings, line = fitted(settings, limit)
    if line is not None:
        sys.stderr.write(f"Warning: {line}\n")
        # The workers read the settings of the environment.
        export_setting("UVICORN_WORKERS", str(settings.uvicorn_workers))
        export_setting("DB_POOL_SIZE", str(settings.db_pool_size))
        get_settings.cache_clear()
    return settings
