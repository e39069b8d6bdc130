"""What bounds the work of a connection to PostgreSQL, for threads and lanes alike."""

import logging
import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import ExceptionContext, ExecutionContext

from config.settings import Settings
from infrastructure.database.availability import Availability
from infrastructure.database.sqlstate import is_cut_off, sqlstate

log = logging.getLogger("shop.database")

MAX_RETRIES = 3
SLOW_STATEMENT_SECONDS = 0.5

_OPTION = "only_locks"
# What a statement is executed with that does nothing but lock rows.
ONLY_LOCKS = {_OPTION: True}


def timeouts(seconds: Mapping[str, float], command: str = "SET") -> str:
    """The SQL that sets timeouts of these names; `SET LOCAL` until the end of the transaction."""
    return "; ".join(f"{command} {name} = {round(value * 1000)}" for name, value in seconds.items())


def answer_deadline(settings: Settings) -> float:
    """After so many seconds an answer is given up.

    Every statement ends by itself long before; only a server that is frozen does not keep to its own timeouts.
    """
    return 3 * (settings.db_statement_timeout + settings.db_lock_timeout)


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
    """Let the statements of `engine` be logged where they are slow."""
    event.listen(engine, "before_cursor_execute", _remember_start)
    event.listen(engine, "after_cursor_execute", _warn_if_slow)
    event.listen(engine, "handle_error", _warn_if_cut_off)


def bound_locks(engine: Engine, settings: Settings) -> None:
    """Let no statement of `engine` that only locks rows take longer than one lock may.

    `lock_timeout` holds for each lock. For a row that others want as well PostgreSQL waits twice: for its turn, and
    for whoever has the row.
    """
    usual = settings.db_statement_timeout
    bounds = {
        locks: timeouts({"statement_timeout": seconds}, "SET LOCAL")
        for locks, seconds in {True: min(settings.db_lock_timeout, usual), False: usual}.items()
    }

    def bound(
        connection: Connection, cursor: Any, statement: str, parameters: Any, context: ExecutionContext, many: bool
    ) -> tuple[str, Any]:
        locks = context.execution_options.get(_OPTION, False)
        if locks != connection.info.get(_OPTION, False):
            connection.info[_OPTION] = locks
            # In the same message, to spare one.
            statement = f"{bounds[locks]}; {statement}"
        return statement, parameters

    def forget(connection: Connection) -> None:
        connection.info[_OPTION] = False

    event.listen(engine, "before_cursor_execute", bound, retval=True)
    event.listen(engine, "begin", forget)


def _remember_start(
    connection: Connection, cursor: Any, statement: str, parameters: Any, context: ExecutionContext, many: bool
) -> None:
    connection.info["started"] = time.monotonic()


def _warn_if_slow(
    connection: Connection, cursor: Any, statement: str, parameters: Any, context: ExecutionContext, many: bool
) -> None:
    warn_if_slow(connection.info["started"], statement)


def _warn_if_cut_off(context: ExceptionContext) -> None:
    # A statement that ended by a timeout is slow too; nothing else says which one it was.
    if context.connection is not None and context.statement is not None:
        warn_if_slow(context.connection.info.get("started", time.monotonic()), context.statement)
