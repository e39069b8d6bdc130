"""How many connections PostgreSQL gives the shop, and sizes of workers and pools that fit."""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.engine import Connection

from config.settings import Settings
from infrastructure.database.async_pool import READ_CONNECTIONS, WRITE_CONNECTIONS

# For the health checks, and to listen for changes.
_OTHERS = 2
_BACKGROUND_THREADS = 4

_LIMITS = text(
    """
    SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
            - coalesce(current_setting('reserved_connections', true)::int, 0) AS server,
        CASE WHEN NOT rolsuper AND rolconnlimit >= 0 THEN rolconnlimit END AS role,
        CASE WHEN NOT rolsuper AND datconnlimit >= 0 THEN datconnlimit END AS database,
        rolname, datname
    FROM pg_roles, pg_database WHERE rolname = session_user AND datname = current_database()
    """
)


@dataclass(frozen=True, slots=True)
class ConnectionLimit:
    """A number of connections, and what sets it."""

    number: int
    reason: str


def connection_limit(connection: Connection) -> ConnectionLimit:
    """The lowest of the limits of server, role and database. Others may have some of these connections."""
    found = connection.execute(_LIMITS).one()
    limits = [
        ConnectionLimit(found.server, "max_connections"),
        *([] if found.role is None else [ConnectionLimit(found.role, f"CONNECTION LIMIT of the role {found.rolname}")]),
        *(
            []
            if found.database is None
            else [ConnectionLimit(found.database, f"CONNECTION LIMIT of the database {found.datname}")]
        ),
    ]
    return min(limits, key=lambda limit: limit.number)


def connections_of_worker(threads: int) -> int:
    """How many connections a worker with so many database threads opens at most."""
    return threads + min(WRITE_CONNECTIONS, threads) + min(READ_CONNECTIONS, threads) + _OTHERS


def connections_of_background(threads: int) -> int:
    """The same for a background process beside such workers."""
    threads = background_threads(threads)
    # One of them for the queue.
    return threads + min(WRITE_CONNECTIONS, threads) + _OTHERS


def background_threads(threads: int) -> int:
    """How many database threads a background process has beside workers with so many."""
    return min(_BACKGROUND_THREADS, threads)


def fitted(settings: Settings, limit: ConnectionLimit) -> tuple[Settings, str | None]:
    """The settings with sizes that fit into the limit, and a line about it, if need be.

    Workers that somebody has set stay. The size of pools is an upper bound in any case: with larger ones the workers that
    are busy first would take the connections of the others, and keep them.
    """
    workers, threads = settings.uvicorn_workers, settings.db_pool_size
    background = settings.background_workers

    def needed_by(workers: int, threads: int) -> int:
        return workers * connections_of_worker(threads) + background * connections_of_background(threads)

    wanted = needed_by(workers, threads)
    if wanted <= limit.number:
        return settings, None
    fitting_workers = max(1, min(workers, (limit.number - needed_by(0, 1)) // connections_of_worker(1)))
    if "uvicorn_workers" not in settings.model_fields_set:
        workers = fitting_workers
    threads = max([number for number in range(1, threads + 1) if needed_by(workers, number) <= limit.number] or [1])
    needed = needed_by(workers, threads)
    line = (
        f"PostgreSQL gives {limit.number} connections ({limit.reason}), and the shop would open up to {wanted}: it runs "
        f"with UVICORN_WORKERS={workers} and DB_POOL_SIZE={threads}"
    )
    if needed > limit.number:
        advice = "" if fitting_workers == workers else f", or set UVICORN_WORKERS={fitting_workers}"
        line += f", and requests will wait for each other; raise the limit to {needed}{advice}"
    return settings.model_copy(update={"uvicorn_workers": workers, "db_pool_size": threads}), line
