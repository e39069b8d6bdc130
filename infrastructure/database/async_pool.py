"""Async connection pool: the event loop itself sends single statements, without a thread in between.

To hand a statement to a thread and its rows back costs several times as much as to send it. So work that is one
statement, and a transaction by itself, goes to a pool of this kind: the event loop sends the statement, and the socket
says when there is an answer. All other work goes to `Database`, with its threads and sessions.

Reads have a pool of their own, so that none waits behind an order that waits for the disk. Both are for statements that
PostgreSQL answers soon, because other statements wait behind them.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence

import psycopg

from config.settings import Settings
from infrastructure.database.availability import Availability
from infrastructure.database.pool_usage import PoolUsage
from infrastructure.database.pooled_connection import PendingQuery, PooledConnection
from infrastructure.database.prepared import Parameters, Prepared, Row
from infrastructure.database.sqlstate import (
    LOCK_TIMEOUT,
    RETRIABLE,
    DatabaseUnavailable,
    NoAnswer,
    StatementRefused,
    is_busy,
    is_cut_off,
    is_full,
    is_no_answer,
)
from infrastructure.database.statement_limits import (
    MAX_RETRIES,
    SLOW_STATEMENT_SECONDS,
    note_refusal,
    warn_if_slow,
)

log = logging.getLogger("shop.database")

# Each waits for the disk at its commit, and those that wait at the same time are written to it together.
WRITE_CONNECTIONS = 6
# A connection sends one statement in a turn of the event loop. More of them would find PostgreSQL busy with those.
READ_CONNECTIONS = 4
# So long after a refusal another connection is tried.
_REST_SECONDS = 1.0


def _nothing() -> None:
    """What follows where nothing has to."""


class AsyncPool:
    """The connections of one worker for one event loop. None is opened before the first statement.

    A pool that is `read_only` changes nothing, so it sends again what was on its way when a connection broke.
    `failed_over` is called when the server has become read-only by itself.
    """

    def __init__(
        self,
        url: str,
        settings: Settings,
        number: int = WRITE_CONNECTIONS,
        *,
        name: str = "shop",
        read_only: bool = False,
        failed_over: Callable[[], None] = _nothing,
        availability: Availability | None = None,
        on_wait: Callable[[], None] = _nothing,
    ) -> None:
        self.name = name
        self.read_only = read_only
        self._availability = availability or Availability(url)
        self.failed_over = failed_over
        # No connection that was opened before is used any more.
        self.renewed_at = 0.0
        self._patience = settings.db_pool_timeout
        self._on_wait = on_wait
        self._echo = settings.db_echo
        self._connections = [PooledConnection(self, url, settings) for _ in range(min(number, settings.db_pool_size))]
        # The last one used comes first, so that at little load the others rest. Those that are closed are before the open.
        self._free = list(self._connections)
        self._waiting: deque[PendingQuery] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._owes_one = self._is_closed = False

    async def run(
        self,
        statement: Prepared,
        parameters: Parameters,
        on_sent: Callable[[], object] = _nothing,
        since: float | None = None,
    ) -> Sequence[Row] | None:
        """The rows of the answer, as of `execute`; None when the statement was refused."""
        try:
            return await self.execute(statement, parameters, on_sent, since)
        except StatementRefused:
            return None

    async def execute(
        self,
        statement: Prepared,
        parameters: Parameters,
        on_sent: Callable[[], object] = _nothing,
        since: float | None = None,
    ) -> Sequence[Row]:
        """The rows of the answer. Raises `StatementRefused` when PostgreSQL could not do it.

        It does so, too, when the server gives this pool no connection: those of the threads have the next turn.
        `on_sent` is called when the statement is sent: what it reads is as new as that. `since` is when the request began
        to wait, by the monotonic clock, if not now. Raises `DatabaseUnavailable`; `NoAnswer` when the statement may have
        taken effect, or may yet, as it may when the driver raises anything else: over a value or an answer.
        """
        patient_until = (time.monotonic() if since is None else since) + self._patience
        for _ in range(MAX_RETRIES + 1):
            answer = asyncio.get_running_loop().create_future()
            query = PendingQuery(statement, parameters, patient_until, answer, on_sent)
            try:
                rows = await self._answer(query)
                self._availability.found_there()
                return rows
            except psycopg.Error as error:
                if query.sent_at is None and is_full(error):
                    raise StatementRefused(None) from error
                if is_no_answer(error):
                    raise
                code = error.sqlstate
                may_send_again = self.read_only or query.sent_at is None
                if code in RETRIABLE or (is_cut_off(code) and query.had_connection and may_send_again):
                    # It waits for another connection.
                    patient_until = time.monotonic() + self._patience
                    continue
                if code is not None and (code == LOCK_TIMEOUT or not is_busy(code)):
                    log.debug("A statement was refused: SQLSTATE %s", code)
                    raise StatementRefused(code) from error
                note_refusal(self._availability, error)
                kind = NoAnswer if query.sent_at is not None and is_cut_off(code) else DatabaseUnavailable
                raise kind("the database is not available") from error
        raise DatabaseUnavailable("the statement failed again and again")

    async def _answer(self, query: PendingQuery) -> Sequence[Row]:
        loop = asyncio.get_running_loop()
        if self._echo:
            log.info("%s", query.statement)
        connection = self._ready_connection()
        if connection is not None:
            connection.start(query)
        else:
            self._loop = loop
            self._wait(query)
        self._on_wait()
        try:
            return await query.answer
        finally:
            if query.sent_at is not None:
                warn_if_slow(query.sent_at, query.statement)

    def _ready_connection(self) -> PooledConnection | None:
        if self._free and self._free[-1].is_ready():
            return self._free.pop()
        for connection in self._free:
            if connection.is_ready():
                self._free.remove(connection)
                return connection
        return None

    def _wait(self, query: PendingQuery, first: bool = False) -> None:
        """Let the query wait for the connection that is there first; another one is opened if there may be one."""
        if not self._free and not self._are_there():
            query.finish([], psycopg.errors.TooManyConnections("no connection at all"))
            return
        (self._waiting.appendleft if first else self._waiting.append)(query)
        asyncio.get_running_loop().call_later(query.patient_until - time.monotonic(), query.give_up_waiting)
        self._open_one()

    def _open_one(self) -> None:
        for connection in reversed(self._free):
            if not connection.is_ready():
                self._free.remove(connection)
                connection.open()
                return

    def _are_there(self) -> bool:
        return any(connection.is_there for connection in self._connections)

    def note_closed(self, connection: PooledConnection, query: PendingQuery | None = None) -> None:
        """The connection is not open any more; `query` is what it should have sent, and another one has to."""
        self._free.insert(0, connection)
        if query is not None:
            self._wait(query, first=True)
        elif self._waiting:
            self._open_one()

    def note_not_opened(self, connection: PooledConnection, error: Exception) -> None:
        """A connection could not be opened. Who waits goes on waiting for the others, if there are any."""
        if is_full(error):
            self._availability.found_full(error)
        if is_full(error) or self._are_there():
            self._let_rest(connection)
        else:
            self._free.insert(0, connection)
        if not self._are_there():
            if isinstance(error, psycopg.Error) and not is_full(error):
                note_refusal(self._availability, error)
            self._end_waiting(error)

    def _end_waiting(self, error: Exception) -> None:
        waiting, self._waiting = self._waiting, deque()
        for query in waiting:
            query.finish([], error)

    def _let_rest(self, connection: PooledConnection) -> None:
        asyncio.get_running_loop().call_later(_REST_SECONDS, self._end_rest, connection)

    def _end_rest(self, connection: PooledConnection) -> None:
        if not self._is_closed:
            self.note_closed(connection)

    def give_one_back(self) -> bool:
        """Close a connection soon, because the threads have none; whether there is one. For every thread."""
        if self._loop is None or self._is_closed or not self._are_there():
            return False
        self._loop.call_soon_threadsafe(self._give_one_back)
        return True

    def _give_one_back(self) -> None:
        connection = self._ready_connection()
        self._owes_one = connection is None
        if connection is not None:
            self._give_back(connection)

    def _give_back(self, connection: PooledConnection) -> None:
        self._owes_one = False
        connection.disconnect()
        self._let_rest(connection)
        if not self._are_there():
            self._end_waiting(psycopg.errors.TooManyConnections("given back"))

    @property
    def is_connected(self) -> bool:
        """Whether any connection is open."""
        return any(connection.is_connected for connection in self._connections)

    def oldest(self) -> float | None:
        """Since when the query waits that has waited longest for its answer."""
        return min(self._busy_since(), default=None)

    def _busy_since(self) -> list[float]:
        return [connection.busy_since for connection in self._connections if connection.busy_since is not None]

    def cut(self, before: float) -> bool:
        """Break the connections that have had their query since before this; whether there were any."""
        late = [one for one in self._connections if one.busy_since is not None and one.busy_since < before]
        for connection in late:
            connection.cut()
        return bool(late)

    def give_up(self, *, but_opening: bool = False) -> None:
        """Let nobody wait any longer, and close the connections that have a query or are being opened.

        With `but_opening` the latter go on: they take as long as the hosts take that are tried one after the other.
        """
        waiting, self._waiting = self._waiting, deque()
        for query in waiting:
            query.give_up("the database does not answer")
        for connection in [one for one in self._connections if one.busy_since is not None]:
            if not (but_opening and connection.is_opening):
                connection.give_up("the database does not answer")

    def usage(self) -> PoolUsage:
        """How busy the connections are. One is blocked when its statement takes longer than any of a pool should."""
        since = self._busy_since()
        blocked = sum(time.monotonic() - start > SLOW_STATEMENT_SECONDS for start in since)
        return PoolUsage(
            len(self._connections), len(since), sum(not query.answer.done() for query in self._waiting), blocked
        )

    def next_query(self, connection: PooledConnection) -> PendingQuery | None:
        """What `connection` is to do next; None, and it is free, when nobody waits."""
        if self._owes_one:
            self._give_back(connection)
            return None
        while self._waiting:
            query = self._waiting.popleft()
            if not query.answer.done():
                return query
        self._free.append(connection)
        return None

    def renew(self) -> None:
        """Let no statement take a connection that is open now. For every thread."""
        self.renewed_at = time.monotonic()

    def close(self) -> None:
        """Close every connection, for good. What is still on its way ends without an answer."""
        self._is_closed = True
        for query in self._waiting:
            query.give_up("the shop is being closed")
        self._waiting.clear()
        for connection in self._connections:
            connection.close()
