"""Lanes: connections on which the event loop itself sends statements, without a thread in between.

To hand a statement to a thread and its answer back costs several times as much as to send it. So what is one
statement, and a transaction by itself, takes a lane: the loop sends it, and the socket says when the answer
is there. All other work takes `Database`, with its threads, its sessions and its pool.

Reads have lanes of their own, so that none waits behind an order that waits for the disk. They are for statements
that PostgreSQL answers soon, because those behind wait for them.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg2
from psycopg2.extensions import POLL_OK, POLL_WRITE

from config.async_connection import connected
from config.guards import MAX_RETRIES, SLOW_STATEMENT_SECONDS, answer_deadline, note_refusal, timeouts, warn_if_slow
from config.notices import TELLS_CACHES
from config.prepared import OnConnection, Prepared
from config.presence import Presence
from config.settings import Settings
from config.sqlstate import (
    LOCK_TIMEOUT,
    READ_ONLY,
    RETRIABLE,
    DatabaseUnavailable,
    is_busy,
    is_cut_off,
    is_no_answer,
)
from config.usage import Usage

log = logging.getLogger("shop.database")

# One sends while the other waits for the disk. More of them only wait for each other, because every order wants the
# next bill number, and that costs PostgreSQL time.
LANES = 2
# A lane sends one statement in a turn of the event loop. More of them would find PostgreSQL busy with those.
READ_LANES = 4
# Whoever waits for a locked row holds up everybody behind, so a statement soon gives its lane up and goes to a thread.
LOCK_SECONDS = 0.2

Row = tuple[Any, ...]
Parameters = Mapping[str, Any]


def _nothing() -> None:
    """What follows where nothing has to."""


@dataclass(slots=True, eq=False)
class _Job:
    """A statement on its way, and whoever waits for its answer. `late` is called when nobody does any more."""

    statement: Prepared
    parameters: Parameters
    answer: asyncio.Future[Sequence[Row]]
    sent: Callable[[], object]
    late: Callable[[], None]
    sent_at: float | None = None

    def give_up(self, reason: str) -> None:
        """Let nobody wait any longer. What has been sent may still take effect; what has not never will."""
        if not self.answer.done():
            self.answer.set_exception(DatabaseUnavailable(reason))

    def give_up_waiting(self) -> None:
        if self.sent_at is None:
            self.give_up("no database connection free in time")

    def note_sent(self) -> None:
        self.sent_at = time.monotonic()
        self.sent()

    def finish(self, rows: Sequence[Row], error: Exception | None = None) -> None:
        if self.answer.done():
            if self.sent_at is not None:
                self.late()
        elif error is not None:
            self.answer.set_exception(error)
        else:
            self.answer.set_result(rows)


class Lanes:
    """Some lanes of one worker, for one event loop. Opens nothing before the first statement.

    Those that are `read_only` change nothing, so they try again what was on its way when a connection broke.
    `failed_over` is called when the server has become read-only by itself.
    """

    def __init__(
        self,
        url: str,
        settings: Settings,
        number: int = LANES,
        *,
        read_only: bool = False,
        failed_over: Callable[[], None] = _nothing,
        presence: Presence | None = None,
    ) -> None:
        self.read_only = read_only
        self._presence = presence or Presence(url)
        self.failed_over = failed_over
        # No connection that was opened before is used any more.
        self.renewed_at = 0.0
        self._patience = settings.db_pool_timeout
        self._deadline = answer_deadline(settings)
        self._echo = settings.db_echo
        self._lanes = [_Lane(self, url, settings) for _ in range(min(number, settings.db_pool_size))]
        # The last one used comes first, so that at little load the others rest.
        self._free = list(self._lanes)
        self._waiting: deque[_Job] = deque()

    async def run(
        self,
        statement: Prepared,
        parameters: Parameters,
        late: Callable[[], None] = _nothing,
        sent: Callable[[], object] = _nothing,
    ) -> Sequence[Row] | None:
        """The rows of the answer; None when the statement could not do it.

        `sent` is called when the statement is sent: what it reads is as new as that. Raises `DatabaseUnavailable`;
        when that was for a broken connection or a frozen server, nobody knows whether the statement took effect,
        and `late` is called if it may have after this returned. Whatever else the driver raises, over a value that it
        cannot send or an answer that it cannot read, is raised as it is; then too the statement may have taken effect.
        """
        for _ in range(MAX_RETRIES + 1):
            job = _Job(statement, parameters, asyncio.get_running_loop().create_future(), sent, late)
            try:
                rows = await self._answer(job)
                self._presence.found_there()
                return rows
            except psycopg2.Error as error:
                if is_no_answer(error):
                    raise
                code = error.pgcode
                if code in RETRIABLE or (self.read_only and job.sent_at is not None and is_cut_off(code)):
                    continue
                if code is not None and (code == LOCK_TIMEOUT or not is_busy(code)):
                    log.debug("A statement was refused: SQLSTATE %s", code)
                    return None
                note_refusal(self._presence, error)
                raise DatabaseUnavailable("the database is not available") from error
        raise DatabaseUnavailable("the statement failed again and again")

    async def _answer(self, job: _Job) -> Sequence[Row]:
        loop = asyncio.get_running_loop()
        if self._echo:
            log.info("%s", job.statement.call)
        if self._free:
            self._free.pop().start(job)
        else:
            self._waiting.append(job)
            loop.call_later(self._patience, job.give_up_waiting)
        timer = loop.call_later(self._deadline, self._give_up, job)
        try:
            return await job.answer
        finally:
            timer.cancel()
            if job.sent_at is not None:
                warn_if_slow(job.sent_at, job.statement.call)

    def _give_up(self, job: _Job) -> None:
        if not job.answer.done():
            self._presence.found_away("no answer in time")
        job.give_up("the database does not answer")

    def usage(self) -> Usage:
        """How busy the lanes are. One is blocked when its statement takes longer than any for a lane should."""
        since = [lane.busy_since for lane in self._lanes if lane.busy_since is not None]
        blocked = sum(time.monotonic() - start > SLOW_STATEMENT_SECONDS for start in since)
        return Usage(len(self._lanes), len(since), sum(not job.answer.done() for job in self._waiting), blocked)

    def next_job(self, lane: "_Lane") -> _Job | None:
        """What `lane` is to do next; None, and it is free, when nobody waits."""
        while self._waiting:
            job = self._waiting.popleft()
            if not job.answer.done():
                return job
        self._free.append(lane)
        return None

    def renew(self) -> None:
        """Let no statement take a connection that is open now. For every thread."""
        self.renewed_at = time.monotonic()

    def close(self) -> None:
        """Close every connection, for good. What is still on its way ends without an answer."""
        for job in self._waiting:
            job.give_up("the shop is being closed")
        self._waiting.clear()
        for lane in self._lanes:
            lane.close()


class _Lane:
    """One connection, opened when it is needed, and the job it has."""

    def __init__(self, lanes: Lanes, url: str, settings: Settings) -> None:
        self._lanes, self._url, self._settings = lanes, url, settings
        self._guards = _guards(settings, lanes.read_only)
        self._connection: Any = None
        self._cursor: Any = None
        self._descriptor = -1
        self._opened_at = 0.0
        self._prepared = OnConnection()
        self._preparing = False
        self._job: _Job | None = None
        # Since when it has its job, by the monotonic clock.
        self.busy_since: float | None = None
        self._opening: asyncio.Task[None] | None = None

    def start(self, job: _Job) -> None:
        """Send the statement of `job`, on a new connection if need be."""
        self._job, self.busy_since = job, time.monotonic()
        if self._is_old():
            self.disconnect()
        if self._connection is None:
            self._opening = asyncio.get_running_loop().create_task(self._open())
        else:
            self._send(job)

    def _is_old(self) -> bool:
        # A connection that was being opened when the lanes were renewed may have reached the old server.
        recycled_at = self._opened_at + self._settings.db_pool_recycle
        return time.monotonic() > recycled_at or self._opened_at <= self._lanes.renewed_at

    async def _open(self) -> None:
        self._opened_at = time.monotonic()
        try:
            # In a thread, because looking up the host's name blocks.
            connection = await asyncio.to_thread(connected, self._url, self._guards)
            self._connection, self._cursor, self._descriptor = connection, connection.cursor(), connection.fileno()
            # Watched at rest too: a connection that the server closes is found out before somebody uses it.
            asyncio.get_running_loop().add_reader(self._descriptor, self._advance)
        except Exception as error:
            # Whatever it is, as in `_send`: a lane that kept its job would never be free again.
            is_away = isinstance(error, psycopg2.Error | OSError)
            self._fail(psycopg2.OperationalError(str(error)) if is_away else error)
            return
        if self._job is None:
            self.disconnect()
        else:
            self._send(self._job)

    def _send(self, job: _Job) -> None:
        if job.answer.done():
            # Given up before it was sent: it must not take effect any more.
            self._end([])
            return
        preparation = self._prepared.missing(job.statement)
        self._preparing = preparation is not None
        try:
            if self._preparing:
                self._cursor.execute(preparation)
            else:
                job.note_sent()
                self._cursor.execute(job.statement.call, job.parameters)
        except Exception as error:
            # Whatever it is, it belongs to whoever asked, and the lane to the next one.
            self._fail(error)
            return
        self._advance()

    def _advance(self) -> None:
        """Go on as far as the socket lets; called by the event loop when it lets further."""
        try:
            state = self._connection.poll()
            loop = asyncio.get_running_loop()
            if state == POLL_WRITE:
                loop.add_writer(self._descriptor, self._advance)
                return
            loop.remove_writer(self._descriptor)
            # All rows are here by now; what they hold may still be beyond what can be read.
            rows = self._cursor.fetchall() if state == POLL_OK and self._job is not None and not self._preparing else ()
        except Exception as error:
            # Whatever it is, as in `_send`: the event loop would only log it.
            self._fail(error)
            return
        if state == POLL_OK and self._job is not None:
            self._go_on(self._job, rows)

    def _go_on(self, job: _Job, rows: Sequence[Row]) -> None:
        if self._preparing:
            self._prepared.add(job.statement)
            self._send(job)
        else:
            self._end(rows)

    def _fail(self, error: Exception) -> None:
        code = getattr(error, "pgcode", None)
        try:
            # Without a code nobody knows what the connection is in the middle of.
            if code == READ_ONLY or (is_busy(code) and code != LOCK_TIMEOUT):
                self.disconnect()
            if code == READ_ONLY:
                self._lanes.renew()
                self._lanes.failed_over()
        finally:
            self._end([], error)

    def _end(self, rows: Sequence[Row], error: Exception | None = None) -> None:
        """Take the next job, and give its answer to whoever waits for the last one."""
        job, self._job, self.busy_since = self._job, None, None
        if job is None:
            return
        following = self._lanes.next_job(self)
        if following is not None:
            # In a turn of its own: a hundred refusals in a row must not be a hundred calls within each other.
            asyncio.get_running_loop().call_soon(self.start, following)
        job.finish(rows, error)

    def disconnect(self) -> None:
        """Close the connection; the next statement opens another."""
        if self._connection is None:
            return
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._descriptor)
        loop.remove_writer(self._descriptor)
        connection, self._connection = self._connection, None
        self._prepared.clear()
        try:
            connection.close()
        except psycopg2.Error:
            log.debug("A broken connection was thrown away", exc_info=True)

    def close(self) -> None:
        """Close the connection, also under a statement that is on its way."""
        job, self._job = self._job, None
        self.disconnect()
        if job is not None:
            job.give_up("the shop is being closed")


def _guards(settings: Settings, read_only: bool) -> str:
    lock_timeout = min(LOCK_SECONDS, settings.db_lock_timeout)
    return (
        # One plan for all: what differs from call to call does not change how to go about it. And one by the indexes:
        # a plan made while a table is empty would read it from end to end, and go on so when it has grown.
        "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET TIME ZONE 'UTC'; "
        f"{TELLS_CACHES}; "
        + ("SET default_transaction_read_only = on; " if read_only else "")
        + timeouts({"statement_timeout": settings.db_statement_timeout, "lock_timeout": lock_timeout})
    )
