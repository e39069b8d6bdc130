"""One place of an async connection pool: a connection whose socket the event loop watches, and the query it has."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import psycopg

from config.settings import Settings
from infrastructure.database.async_connection import PreparedConnection, connect
from infrastructure.database.change_listener import NOTIFIES_CACHES
from infrastructure.database.prepared import Parameters, Prepared, Row
from infrastructure.database.sqlstate import (
    LOCK_TIMEOUT,
    READ_ONLY,
    DatabaseUnavailable,
    NoAnswer,
    is_busy,
    is_full,
    sqlstate,
)
from infrastructure.database.statement_limits import timeouts

log = logging.getLogger("shop.database")

# A statement that waits for a locked row holds up all behind it, so it soon gives up, and its work goes another way.
LOCK_SECONDS = 0.2


@dataclass(slots=True, eq=False)
class PendingQuery:
    """A statement on its way, and the future of its rows. `on_sent` is called when it is sent."""

    statement: Prepared
    parameters: Parameters
    # By the monotonic clock: so long it waits for a connection.
    patient_until: float
    answer: asyncio.Future[Sequence[Row]]
    on_sent: Callable[[], object]
    had_connection: bool = False
    sent_at: float | None = None

    def give_up(self, reason: str) -> None:
        """Let nobody wait any longer. What has been sent may still take effect; what has not never will."""
        if not self.answer.done():
            self.answer.set_exception((DatabaseUnavailable if self.sent_at is None else NoAnswer)(reason))

    def give_up_waiting(self) -> None:
        if self.sent_at is None:
            self.give_up("no database connection free in time")

    def note_sent(self) -> None:
        self.sent_at = time.monotonic()
        self.on_sent()

    def finish(self, rows: Sequence[Row], error: Exception | None = None) -> None:
        if self.answer.done():
            return
        if error is not None:
            self.answer.set_exception(error)
        else:
            self.answer.set_result(rows)


class Pool(Protocol):
    """What a connection asks of its pool, and tells it."""

    name: str
    read_only: bool
    renewed_at: float
    failed_over: Callable[[], None]

    def next_query(self, connection: "PooledConnection") -> PendingQuery | None: ...

    def note_closed(self, connection: "PooledConnection", query: PendingQuery | None = None) -> None: ...

    def note_not_opened(self, connection: "PooledConnection", error: Exception) -> None: ...

    def renew(self) -> None: ...


class PooledConnection:
    """One connection, opened when it is needed, and its query."""

    def __init__(self, pool: Pool, url: str, settings: Settings) -> None:
        self._pool, self._url, self._settings = pool, url, settings
        self._guards = _guards(settings, pool.read_only)
        self._connection: PreparedConnection | None = None
        self._opened_at = 0.0
        self._query: PendingQuery | None = None
        # Since when it has its query, or is being opened, by the monotonic clock.
        self.busy_since: float | None = None
        self._opening: asyncio.Task[None] | None = None
        self._is_closed = False

    @property
    def is_there(self) -> bool:
        """Whether it is open, or being opened."""
        return self._connection is not None or self._opening is not None

    def is_ready(self) -> bool:
        """Whether it is open and may be used. One that is too old for that is closed."""
        # A connection that was being opened when the pool was renewed may have reached the old server.
        recycled_at = self._opened_at + self._settings.db_pool_recycle
        if time.monotonic() > recycled_at or self._opened_at <= self._pool.renewed_at:
            self.disconnect()
        return self._connection is not None

    def start(self, query: PendingQuery) -> None:
        """Send the statement of `query`."""
        if self._connection is None:
            # It broke after the query had been given to it.
            self._pool.note_closed(self, query)
            return
        query.had_connection = True
        self._query, self.busy_since = query, time.monotonic()
        self._send(self._connection, query)

    def open(self) -> None:
        """Open a connection; it then takes the query that waits longest, unless another connection was sooner."""
        self.busy_since = time.monotonic()
        self._opening = asyncio.get_running_loop().create_task(self._open())

    async def _open(self) -> None:
        self._opened_at = time.monotonic()
        try:
            self._connection = PreparedConnection(await connect(self._url, self._guards, self._pool.name))
            # Watched at rest too: a connection that the server closes is found out before somebody uses it.
            asyncio.get_running_loop().add_reader(self._connection.descriptor, self._receive)
        except Exception as error:
            # Whatever it is, as in `_send`: it would never be free again.
            self._opening = self.busy_since = None
            self._pool.note_not_opened(self, _without_code(error))
            return
        self._opening = self.busy_since = None
        if self._is_closed:
            self.disconnect()
        else:
            self._take_next()

    def _send(self, connection: PreparedConnection, query: PendingQuery) -> None:
        """Send what the query needs next: a connection prepares a statement before it executes it for the first time."""
        if query.answer.done():
            # Given up before it was sent: it must not take effect any more.
            self._end([])
            return
        try:
            if connection.has_prepared(query.statement):
                query.note_sent()
                connection.execute(query.statement, query.parameters)
            else:
                connection.prepare(query.statement)
            if not connection.flush():
                asyncio.get_running_loop().add_writer(connection.descriptor, self._flush)
        except Exception as error:
            # Whatever it is, it belongs to this query, and the connection to the next one.
            self._fail(error)

    def _flush(self) -> None:
        """Called by the event loop when a statement that was too large for the socket can be sent on."""
        assert self._connection is not None
        try:
            if self._connection.flush():
                asyncio.get_running_loop().remove_writer(self._connection.descriptor)
        except Exception as error:
            self._fail(error)

    def _receive(self) -> None:
        """Called by the event loop when something has come."""
        connection, query = self._connection, self._query
        assert connection is not None
        try:
            rows = connection.receive()
        except Exception as error:
            # Whatever it is, as in `_send`: the event loop would only log it.
            self._fail(error)
            return
        if rows is None or query is None:
            return
        if query.sent_at is None:
            self._send(connection, query)
        else:
            self._end(rows)

    def _fail(self, error: Exception) -> None:
        code = sqlstate(error)
        try:
            # Without a code nobody knows what the connection is in the middle of.
            if code == READ_ONLY or (is_busy(code) and code != LOCK_TIMEOUT):
                self.disconnect()
            if code == READ_ONLY:
                self._pool.renew()
                self._pool.failed_over()
        finally:
            self._end([], error)

    def _end(self, rows: Sequence[Row], error: Exception | None = None) -> None:
        """Take the next query, and give its rows or its error to whoever waits for this one."""
        query, self._query, self.busy_since = self._query, None, None
        if query is None:
            return
        if self.is_ready():
            self._take_next()
        else:
            self._pool.note_closed(self)
        query.finish(rows, error)

    def _take_next(self) -> None:
        following = self._pool.next_query(self)
        if following is not None:
            # In a turn of its own: a hundred refusals in a row must not be a hundred calls within each other.
            asyncio.get_running_loop().call_soon(self.start, following)

    def cut(self) -> None:
        """Break the connection of a query that is not answered, which fails, or is sent again on another."""
        self._stop("the connection leads nowhere")
        self._end([], psycopg.OperationalError("the connection leads nowhere"))

    def give_up(self, reason: str) -> None:
        """Let nobody wait for the query any longer, and be free for the next, on another connection."""
        if self._query is not None:
            self._query.give_up(reason)
        self._stop(reason)
        self._end([])

    def _stop(self, reason: str) -> None:
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.cancel()
            self.busy_since = None
            self._pool.note_not_opened(self, psycopg.OperationalError(reason))
        self.disconnect()

    @property
    def is_opening(self) -> bool:
        """Whether it is being opened."""
        return self._opening is not None

    @property
    def is_connected(self) -> bool:
        """Whether it is open."""
        return self._connection is not None

    def disconnect(self) -> None:
        """Close the connection; the next statement opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            loop = asyncio.get_running_loop()
            loop.remove_reader(connection.descriptor)
            loop.remove_writer(connection.descriptor)
            connection.close()

    def close(self) -> None:
        """Close the connection, also under a statement that is on its way."""
        self._is_closed = True
        query, self._query = self._query, None
        self.disconnect()
        if query is not None:
            query.give_up("the shop is being closed")


def _without_code(error: Exception) -> Exception:
    """The error of a connection that could not be opened; only a server without a place keeps its code."""
    if is_full(error):
        return psycopg.errors.TooManyConnections(str(error))
    return psycopg.OperationalError(str(error)) if isinstance(error, psycopg.Error | OSError) else error


def _guards(settings: Settings, read_only: bool) -> str:
    lock_timeout = min(LOCK_SECONDS, settings.db_lock_timeout / 10)
    return (
        # One plan for all: what differs from call to call does not change how to go about it. And one by the indexes:
        # a plan made while a table is empty would read it from end to end, and go on so when it has grown.
        "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; "
        f"{NOTIFIES_CACHES}; "
        + ("SET default_transaction_read_only = on; " if read_only else "")
        + timeouts({"statement_timeout": settings.db_statement_timeout, "lock_timeout": lock_timeout})
    )
