"""Migration steps beside a live shop: each in its own transaction, none long in the way of the readers of a table.

Whoever waits for an exclusive lock makes everybody wait who comes later. So a step waits for a short time only, rolls
back, lets the others through, and is tried again.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from sqlalchemy import text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from infrastructure.database.sqlstate import LOCK_TIMEOUT, READ_ONLY, RETRIABLE, sqlstate
from infrastructure.database.stoppable import Cancellation
from infrastructure.database.suitability import UnsuitableDatabase

log = logging.getLogger("shop.migrations")

# Less than the time for which requests wait for a connection (DB_POOL_TIMEOUT), and more than PostgreSQL's
# `deadlock_timeout` of a second, after which a vacuum of its own makes way.
LOCK_SECONDS = 1.5
_PAUSE_SECONDS = 2.0
_SECONDS_BETWEEN_LINES = 60.0

# So many keys at a time; and beyond the last one.
_PORTION = 10_000
_LAST_KEY = 2**63 - 1

MIGRATION_LOCK = 7_240_119

_IS_READ_ONLY = (
    "The database lacks migrations and is read-only, as a standby or by default_transaction_read_only: name the primary "
    "in DATABASE_URL, or let it be written"
)
_CHECKS_CLIENT = 140_000

# What Alembic runs: the steps from the current revisions on.
Steps = Callable[[Any, Any], Iterable[Any]]


def resuming(steps: Steps) -> Steps:
    """The same steps, but a second call goes on with the step that the first one did not finish."""
    left: deque[Any] | None = None

    # Alembic's commands are told apart by the name of this function.
    @wraps(steps)
    def remaining(revisions: Any, context: Any) -> Iterator[Any]:
        nonlocal left
        if left is None:
            left = deque(steps(revisions, context))
        while left:
            # Whoever asks for the next step has committed this one.
            yield left[0]
            left.popleft()

    return remaining


@contextmanager
def one_at_a_time(connection: Connection, say: Callable[[str], object] = log.info) -> Iterator[None]:
    """Let nobody else migrate this database during the block; waits for whoever does now, however long that takes.

    The connection must have neither a statement nor a lock timeout yet. `say` is told of a wait.
    """
    key = {"key": MIGRATION_LOCK}
    if not connection.execute(text("SELECT pg_try_advisory_lock(:key)"), key).scalar_one():
        say("Another process migrates this database: waiting for its end")
        connection.execute(text("SELECT pg_advisory_lock(:key)"), key)
    connection.commit()
    try:
        yield
    finally:
        connection.rollback()
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), key)
        connection.commit()


def in_portions(context: Any, table: str, statement: str) -> None:
    """Execute `statement` for all rows of the table, some at a time, each time in a transaction of its own.

    It names the keys of the rows as `id_key BETWEEN :first AND :last`, and finds nothing to do where it was executed before:
    a migration that is interrupted begins anew. `context` is Alembic's. Where only the SQL is printed, it is one statement.
    """
    if context.as_sql:
        context.impl.execute(text(statement).bindparams(first=0, last=_LAST_KEY))
        return
    with context.autocommit_block():
        last = context.connection.execute(text(f"SELECT max(id_key) FROM {table}")).scalar_one() or 0  # noqa: S608
        for first in range(0, last + 1, _PORTION):
            context.connection.execute(text(statement), {"first": first, "last": first + _PORTION - 1})


def limit_waits(connection: Connection) -> None:
    """Let a statement on `connection` wait at most `LOCK_SECONDS` for a lock, unless a migration sets another limit."""
    connection.execute(text(f"SET lock_timeout = '{LOCK_SECONDS * 1000:.0f}ms'"))
    connection.commit()


def end_with_client(connection: Connection) -> None:
    """Have PostgreSQL end the session of `connection` soon after this process was killed, also while it waits for a lock.

    Not every version and system can.
    """
    if connection.connection.driver_connection.server_version < _CHECKS_CLIENT:  # type: ignore[union-attr]  # never None
        return
    try:
        connection.execute(text("SET client_connection_check_interval = '1s'"))
        connection.commit()
    except DBAPIError:
        connection.rollback()


def run_retried(run: Callable[[], None], connection: Connection, cancellation: Cancellation) -> None:
    """Call `run` until it does not fail for a lock that others hold. Raises everything else, and when it is canceled.

    A database that is read-only is an `UnsuitableDatabase`.
    """
    said_at: float | None = None
    while True:
        try:
            run()
        except DBAPIError as error:
            connection.rollback()
            if sqlstate(error) == READ_ONLY:
                raise UnsuitableDatabase(_IS_READ_ONLY) from error
            if sqlstate(error) not in (LOCK_TIMEOUT, *RETRIABLE) or cancellation.is_requested:
                raise
            if said_at is None or time.monotonic() - said_at > _SECONDS_BETWEEN_LINES:
                said_at = time.monotonic()
                log.warning(
                    "The migration waits for a lock that another session holds, such as a backup or a long transaction "
                    "(see pg_stat_activity); it tries again every few seconds, and the tables can be read meanwhile"
                )
            if cancellation.wait(_PAUSE_SECONDS):
                raise
        else:
            if said_at is not None:
                log.warning("The migration has got its locks and is done")
            return
