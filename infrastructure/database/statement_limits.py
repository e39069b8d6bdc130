"""What bounds the work of a connection to PostgreSQL, for threads and async pools alike."""

import logging
import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import ExceptionContext, ExecutionContext

from config.settings import Settings
from infrastructure.database.availability import Availability
from infrastructure.database.sqlstate import is_cut_off, sqlstate
from infrastructure.database.threads import current_hop, note_answered, note_sent

log = logging.getLogger("shop.database")

MAX_RETRIES = 3
SLOW_STATEMENT_SECONDS = 0.5

# So long a request waits for a lock at least, whatever it has waited for before.
LEAST_LOCK_SECONDS = 0.2
_NOTICEABLE_SECONDS = 0.25

_OPTION = "only_locks"
# What a statement is executed with that does nothing but lock rows.
ONLY_LOCKS = {_OPTION: True}
# It takes no time, and in a transaction that has failed PostgreSQL takes nothing before it.
_BACK_TO_SAVEPOINT = "ROLLBACK TO SAVEPOINT"
_NOBODY_KNOWS = (0.0, 0.0)


def timeouts(seconds: Mapping[str, float], command: str = "SET") -> str:
    """The SQL that sets timeouts of these names; `SET LOCAL` until the end of the transaction."""
    return "; ".join(f"{command} {name} = {round(value * 1000)}" for name, value in seconds.items())


def longest_statement(settings: Settings) -> float:
    """After so many seconds PostgreSQL has answered every statement, if it is there at all."""
    return settings.db_statement_timeout + 1


def warn_if_slow(started: float, statement: object) -> None:
    """Log a statement that took long since `started` (monotonic), without its values."""
    seconds = time.monotonic() - started
    if seconds > SLOW_STATEMENT_SECONDS:
        log.warning("Slow statement (%.0f ms): %s", seconds * 1000, statement)


def note_refusal(availability: Availability, error: BaseException | None) -> None:
    """Say that the database did not serve a request: once while it is away, else each time.

    Without a code the server got to say nothing, and a shutdown is the way to being away.
    """
    code = sqlstate(error)
    if is_cut_off(code):
        availability.found_away(error)
    else:
        log.warning("The database did not serve a request: SQLSTATE %s, %s", code, type(error).__name__)


def watch(engine: Engine) -> None:
    """Let the statements of `engine` be logged where they are slow, and known to the hops. It needs `bound_locks`."""
    event.listen(engine, "after_cursor_execute", _warn_if_slow)
    event.listen(engine, "handle_error", _warn_if_cut_off)


def bound_locks(engine: Engine, settings: Settings) -> None:
    """Let no request wait longer for locks than one lock may take, however many it waits for, and for a thread before.

    `lock_timeout` holds for each lock. For a row that others want as well PostgreSQL waits twice: for its turn, and
    for whoever has the row. So a statement that only locks rows has the lock's limit as a whole.
    """
    usual = (settings.db_statement_timeout, settings.db_lock_timeout)

    def wanted(only_locks: bool, now: float) -> tuple[float, float]:
        statement, lock = usual
        hop = current_hop()
        waited = 0.0 if hop is None else now - hop.since
        if waited > _NOTICEABLE_SECONDS:
            lock = max(lock - waited, min(lock, LEAST_LOCK_SECONDS))
        return (min(lock, statement) if only_locks else statement), lock

    def bound(
        connection: Connection, cursor: Any, statement: str, parameters: Any, context: ExecutionContext, many: bool
    ) -> tuple[str, Any]:
        info = connection.info
        info["started"] = now = time.monotonic()
        note_sent(info, now)
        if statement.startswith(_BACK_TO_SAVEPOINT):
            # It takes back what was set since.
            info[_OPTION] = _NOBODY_KNOWS
            return statement, parameters
        bounds = wanted(context.execution_options.get(_OPTION, False), now)
        if bounds != usual or info.get(_OPTION, usual) != usual:
            info[_OPTION] = bounds
            seconds = dict(zip(("statement_timeout", "lock_timeout"), bounds, strict=True))
            # In the same message, to spare one.
            statement = f"{timeouts(seconds, 'SET LOCAL')}; {statement}"
        return statement, parameters

    def forget(connection: Connection) -> None:
        connection.info[_OPTION] = usual

    event.listen(engine, "before_cursor_execute", bound, retval=True)
    event.listen(engine, "begin", forget)


def _warn_if_slow(
    connection: Connection, cursor: Any, statement: str, parameters: Any, context: ExecutionContext, many: bool
) -> None:
    note_answered()
    warn_if_slow(connection.info["started"], statement)


def _warn_if_cut_off(context: ExceptionContext) -> None:
    # A statement that ended by a timeout is slow too; nothing else says which one it was.
    if context.connection is not None and context.statement is not None:
        warn_if_slow(context.connection.info.get("started", time.monotonic()), context.statement)
