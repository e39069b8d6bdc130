"""PostgreSQL: the pooled engine of a worker, the unit of work, and its threads.

`Database.transact(work)` is how the application changes anything: one transaction in one worker
thread, retried where PostgreSQL says that a repeat is safe, and committed before the answer goes out.
`Database.read(work)` is for answers that change nothing. `Database.write_pool` is for the one statement that is
a transaction of its own, and `Database.read_pool` for the one that is a whole read.
"""

import logging
import random
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session
from sqlalchemy.pool import QueuePool

from config.settings import Settings
from infrastructure.database.async_pool import READ_CONNECTIONS, AsyncPool
from infrastructure.database.availability import Availability
from infrastructure.database.host_order import host_order
from infrastructure.database.migrations import Schema, schema_at, schema_of
from infrastructure.database.pool_usage import PoolUsage
from infrastructure.database.prepared import Prepared
from infrastructure.database.probe import MORE_SECONDS, Probe
from infrastructure.database.session_engine import session_engine
from infrastructure.database.sessions import autocommit, close_quietly
from infrastructure.database.sqlstate import (
    READ_ONLY,
    RETRIABLE,
    DatabaseUnavailable,
    NoAnswer,
    is_busy,
    is_no_answer,
    is_refused_as_read_only,
    sqlstate,
)
from infrastructure.database.statement_limits import (
    MAX_RETRIES,
    longest_statement,
    note_refusal,
)
from infrastructure.database.threads import DatabaseThreads, current_hop, note_answered, note_committing
from infrastructure.database.waiting_pool import WaitingPool
from infrastructure.database.watchdog import Watchdog

log = logging.getLogger("shop.database")
T = TypeVar("T")

# So long after all connections were thrown away none is thrown away for the same reason: a database that stays
# read-only is read on, on the connections that are there.
_RENEWAL_SECONDS = 5.0

_PING = Prepared("ping", "SELECT 1")
# It is read-only also as a standby.
_STATE = Prepared(
    "state",
    "SELECT array(SELECT version_num::text FROM alembic_version), "
    "obj_description('alembic_version'::regclass, 'pg_class'), current_setting('transaction_read_only')::boolean",
)


class Database:
    """The engine of one worker process and its threads.

    Opens no connection before the first use. There are as many threads as connections in the pool; who finds no free
    thread waits on the event loop. A thread waits for a connection where PostgreSQL gives fewer. Both together take at
    most `db_pool_timeout` seconds.
    """

    def __init__(self, url: str, settings: Settings) -> None:
        self.url = url
        self.settings = settings
        self.engine = session_engine(url, settings)
        self.availability = Availability(url)
        self._renewed_at = -_RENEWAL_SECONDS
        self.probe = Probe(url, settings, self.availability, self._renew_lying)
        self.threads = DatabaseThreads(settings, self._wake)
        self.write_pool = AsyncPool(
            url, settings, failed_over=self._renew, availability=self.availability, on_wait=self._wake
        )
        self.read_pool = AsyncPool(
            url, settings, READ_CONNECTIONS, read_only=True, availability=self.availability, on_wait=self._wake
        )
        self.longest_statement = longest_statement(settings)
        self._watchdog = Watchdog(
            (self.threads, self.write_pool, self.read_pool),
            self.longest_statement,
            partial(self.probe.ask, _PING, MORE_SECONDS),
            self._found_silent,
            self._renew_lying,
        )
        pool = self.engine.pool
        assert isinstance(pool, WaitingPool)
        pool.on_refusal, pool.on_starvation = self.availability.found_full, self._give_one_to_threads

    def _wake(self) -> None:
        self._watchdog.wake()

    def _give_one_to_threads(self) -> None:
        if not self.read_pool.give_one_back() and not self.write_pool.give_one_back():
            # What is asked on it can be asked on one of theirs.
            self.probe.give_one_back()

    async def run(self, work: Callable[[], T], since: float | None = None) -> T:
        """The result of `work`, run in a database thread with this task's context variables.

        `since` is when the request began to wait, by the monotonic clock, if not now. Raises `DatabaseUnavailable` when
        no thread is free in time, or the database does not answer.
        """
        return await self.threads.run(work, since)

    def transact(self, work: Callable[[Session], T]) -> T:
        """What `work` returns, after its transaction was committed. Blocks; call it in a thread.

        `work` may run up to four times, so it must not change anything but the session. Whatever it
        raises rolls everything back.
        """
        return self._retried(self._attempt, work, pause=0.01)

    def _attempt(self, work: Callable[[Session], T]) -> T:
        session = Session(self.engine, expire_on_commit=False)
        committing = False
        try:
            result = work(session)
            committing = True
            note_committing()
            session.commit()
        except DBAPIError as error:
            raise self._judged(error, session, committing) from error
        except PoolTimeout as error:
            raise DatabaseUnavailable("no database connection free in time") from error
        finally:
            close_quietly(session)
            note_answered()
        self.availability.found_there()
        return result

    def read(self, work: Callable[[Session], T]) -> T:
        """What `work` returns, reading committed data statement by statement. Blocks; call it in a thread."""
        return self._retried(self._attempt_to_read, work)

    def _attempt_to_read(self, work: Callable[[Session], T]) -> T:
        try:
            with self.engine.connect() as connection, autocommit(connection):
                session = Session(connection, expire_on_commit=False)
                try:
                    result = work(session)
                except DBAPIError as error:
                    raise self._judged(error, session, committing=False) from error
                finally:
                    close_quietly(session)
                    note_answered()
                self.availability.found_there()
                return result
        except PoolTimeout as error:
            raise DatabaseUnavailable("no database connection free in time") from error
        except DBAPIError as error:
            raise self._judged(error, None, committing=False) from error

    def _retried(
        self, attempt: Callable[[Callable[[Session], T]], T], work: Callable[[Session], T], pause: float = 0
    ) -> T:
        """What `attempt` returns, after up to three repetitions.

        The pause before the first takes up to `pause` seconds; each further one may take twice as long.
        """
        for number in range(MAX_RETRIES + 1):
            try:
                return attempt(work)
            except _Retry as retry:
                hop = current_hop()
                if number == MAX_RETRIES or (hop is not None and hop.given_up):
                    raise self._gave_up(retry) from retry.__cause__
                # Transactions that collided must not collide again in step.
                time.sleep(random.uniform(0, pause * 2**number))  # noqa: S311
        raise AssertionError("unreachable")

    def _judged(self, error: DBAPIError, session: Session | None, committing: bool) -> Exception:
        """What `error` means for the request: try again, unavailable, or the error itself for the layers above."""
        if is_no_answer(error.orig):
            return error
        code = sqlstate(error)
        if code in RETRIABLE:
            return _Retry()
        if code == READ_ONLY:
            # The pool only closes what it holds just now; this connection would come back to it.
            if session is not None:
                session.invalidate()
            self._renew()
            return DatabaseUnavailable("the database is read-only")
        if error.connection_invalidated and not committing:
            # The connection broke before COMMIT was sent: nothing can have been kept.
            return _Retry()
        if error.connection_invalidated or is_busy(code):
            note_refusal(self.availability, error.orig)
            kind = NoAnswer if error.connection_invalidated else DatabaseUnavailable
            return kind("the database is not available")
        return error

    def _gave_up(self, retry: "_Retry") -> DatabaseUnavailable:
        note_refusal(self.availability, getattr(retry.__cause__, "orig", None))
        return DatabaseUnavailable("the same failed again and again")

    def _renew(self) -> None:
        """Throw all connections away: what they lead to is not the primary server any more. For every thread."""
        host_order(self.url).forget()
        if self._renew_all():
            log.warning("The database has become read-only; its connections were thrown away")

    def _renew_lying(self) -> None:
        """Throw all connections away that are not in use: one of them has led nowhere."""
        self._watchdog.note_lie()
        if self._renew_all():
            log.warning("A connection to the database had died without a word; the others were thrown away with it")

    def _renew_all(self) -> bool:
        now = time.monotonic()
        if now - self._renewed_at < _RENEWAL_SECONDS:
            return False
        self._renewed_at = now
        self.engine.dispose()
        self.write_pool.renew()
        self.read_pool.renew()
        return True

    def _found_silent(self) -> None:
        self.availability.found_away("no answer in time")
        self._renew_all()

    async def ping(self) -> float:
        """The time in milliseconds that PostgreSQL takes to answer. Raises `DatabaseUnavailable`."""
        start = time.perf_counter()
        await self.probe.ask(_PING)
        return (time.perf_counter() - start) * 1000

    async def state(self) -> tuple[Schema | None, bool]:
        """Where the database stands among the migrations, and whether it is read-only. Raises `DatabaseUnavailable`.

        Nobody knows the first where none of several hosts takes writes.
        """
        try:
            rows = await self.probe.ask(_STATE)
        except DatabaseUnavailable as error:
            if is_refused_as_read_only(error.__cause__):
                return None, True
            raise
        if rows is None:
            # There is no such table, or no connection: those of the threads know.
            return await self.run(lambda: self.read(_state_of))
        revisions, note, is_read_only = rows[0]
        if is_read_only:
            # After a failover the connection may lead to the old primary: the next question goes by another.
            self.probe.renew()
        return schema_at(frozenset(revisions), note), is_read_only

    def usage(self) -> dict[str, PoolUsage]:
        """How busy the three ways to the database are: threads, the pool for writes, the pool for reads."""
        pool = self.engine.pool
        assert isinstance(pool, QueuePool)
        # What overflows into further connections is not there for requests: none has a thread.
        busy = min(max(self.threads.busy, pool.checkedout()), pool.size())
        threads = PoolUsage(pool.size(), busy, self.threads.waiting, blocked=busy)
        return {"threads": threads, "lanes": self.write_pool.usage(), "read_lanes": self.read_pool.usage()}

    def close_pools(self) -> None:
        """Close the connections that belong to the event loop, in which this is to be called."""
        self.write_pool.close()
        self.read_pool.close()
        self.probe.close()

    def close(self) -> None:
        """Wait for the work of threads, then close every other connection."""
        self.threads.close()
        self.engine.dispose()


def _state_of(session: Session) -> tuple[Schema, bool]:
    is_read_only = session.execute(text("SELECT current_setting('transaction_read_only')::boolean")).scalar_one()
    return schema_of(session.connection()), bool(is_read_only)


class _Retry(Exception):
    """The transaction was rolled back for certain and may be tried again."""
