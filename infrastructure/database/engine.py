"""PostgreSQL: the pooled engine of a worker, the unit of work, and its threads.

`Database.transact(work)` is how the application changes anything: one transaction in one worker
thread, retried where PostgreSQL says that a repeat is safe, and committed before the answer goes out.
`Database.read(work)` is for answers that change nothing. `Database.write_pool` is for the one statement that is
a transaction of its own, and `Database.read_pool` for the one that is a whole read.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, TypeVar

from sqlalchemy import create_engine, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session
from sqlalchemy.pool import QueuePool

from config.settings import Settings
from infrastructure.database.async_pool import READ_CONNECTIONS, AsyncPool
from infrastructure.database.availability import Availability
from infrastructure.database.connection_options import connection_options
from infrastructure.database.migrations import Schema, schema_of
from infrastructure.database.pool_usage import PoolUsage
from infrastructure.database.session_engine import session_engine
from infrastructure.database.sessions import autocommit, close_quietly
from infrastructure.database.sqlstate import (
    READ_ONLY,
    RETRIABLE,
    DatabaseUnavailable,
    is_busy,
    is_full,
    is_no_answer,
    sqlstate,
)
from infrastructure.database.statement_limits import (
    MAX_RETRIES,
    answer_deadline,
    note_refusal,
)
from infrastructure.database.waiting_pool import WaitingPool, patience

log = logging.getLogger("shop.database")
T = TypeVar("T")


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
        # Not one of the pool's connections: a busy shop must not look like a dead one.
        self._probe = create_engine(
            url,
            pool_size=1,
            max_overflow=0,
            isolation_level="AUTOCOMMIT",
            connect_args=connection_options(url, "shop health"),
        )
        self._threads = ThreadPoolExecutor(settings.db_pool_size, thread_name_prefix="database")
        self._deadline = answer_deadline(settings)
        self._free_threads = asyncio.Semaphore(settings.db_pool_size)
        self._busy_threads = self._waiting = 0
        self.availability = Availability(url)
        self.write_pool = AsyncPool(url, settings, failed_over=self._renew, availability=self.availability)
        self.read_pool = AsyncPool(url, settings, READ_CONNECTIONS, read_only=True, availability=self.availability)
        pool = self.engine.pool
        assert isinstance(pool, WaitingPool)
        pool.on_refusal, pool.on_starvation = self.availability.found_full, self._give_one_to_threads

    def _give_one_to_threads(self) -> None:
        if not self.read_pool.give_one_back() and not self.write_pool.give_one_back():
            # What is asked on it can be asked on one of theirs.
            self._probe.dispose()

    async def run(self, work: Callable[[], T]) -> T:
        """The result of `work`, run in a database thread with this task's context variables.

        Raises `DatabaseUnavailable` when no thread is free in time. The thread is not given back
        before `work` ends, even when the waiting client has gone.
        """
        self._waiting += 1
        asked_at = time.monotonic()
        try:
            await asyncio.wait_for(self._free_threads.acquire(), self.settings.db_pool_timeout)
        except TimeoutError:
            raise DatabaseUnavailable("no database connection free in time") from None
        finally:
            self._waiting -= 1
        self._busy_threads += 1
        try:
            left = self.settings.db_pool_timeout - (time.monotonic() - asked_at)
            future = asyncio.get_running_loop().run_in_executor(self._threads, copy_context().run, _patient, left, work)
        except BaseException:
            self._busy_threads -= 1
            self._free_threads.release()
            raise
        future.add_done_callback(self._release_thread)
        try:
            async with asyncio.timeout(self._deadline):
                return await asyncio.shield(future)
        except TimeoutError:
            self.availability.found_away("no answer in time")
            raise DatabaseUnavailable("the database does not answer") from None

    def _release_thread(self, future: "asyncio.Future[Any]") -> None:
        self._busy_threads -= 1
        self._free_threads.release()
        if not future.cancelled():
            # Fetched, so that asyncio does not report the error of a request whose client has gone.
            future.exception()

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
            session.commit()
        except DBAPIError as error:
            raise self._judged(error, session, committing) from error
        except PoolTimeout as error:
            raise DatabaseUnavailable("no database connection free in time") from error
        finally:
            close_quietly(session)
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
                if number == MAX_RETRIES:
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
            return DatabaseUnavailable("the database is not available")
        return error

    def _gave_up(self, retry: "_Retry") -> DatabaseUnavailable:
        note_refusal(self.availability, getattr(retry.__cause__, "orig", None))
        return DatabaseUnavailable("the same failed again and again")

    def _renew(self) -> None:
        """Throw all connections away: what they lead to is not the primary server any more."""
        self.engine.dispose()
        self.write_pool.renew()
        self.read_pool.renew()
        log.warning("The database has become read-only; its connections were thrown away")

    async def ping(self) -> float:
        """The time in milliseconds that PostgreSQL takes to answer."""

        def probe(connection: Connection) -> float:
            start = time.perf_counter()
            connection.execute(text("SELECT 1"))
            return (time.perf_counter() - start) * 1000

        return await self.probed(probe)

    async def schema(self) -> Schema:
        """Where the database stands among the migrations."""
        return await self.probed(schema_of)

    async def probed(self, probe: Callable[[Connection], T]) -> T:
        """What `probe` finds out on a connection that no request uses. Raises SQLAlchemy's errors."""

        def connected() -> T:
            try:
                with self._probe.connect() as connection:
                    return probe(connection)
            except DBAPIError as error:
                # The one connection may have outlived a restart of the server; a new one has the last word. Where no
                # further one is to be had, the server is there all the same, and those of the threads know.
                engine = self.engine if is_full(error.orig or error) else self._probe
                with engine.connect() as connection:
                    return probe(connection)

        try:
            found = await asyncio.get_running_loop().run_in_executor(None, connected)
        except DBAPIError as error:
            self.availability.found_away(error.orig)
            raise
        self.availability.found_there()
        return found

    def usage(self) -> dict[str, PoolUsage]:
        """How busy the three ways to the database are: threads, lanes for writes, lanes for reads."""
        pool = self.engine.pool
        assert isinstance(pool, QueuePool)
        # What overflows into further connections is not there for requests: none has a thread.
        busy = min(max(self._busy_threads, pool.checkedout()), pool.size())
        threads = PoolUsage(pool.size(), busy, self._waiting, blocked=busy)
        return {"threads": threads, "lanes": self.write_pool.usage(), "read_lanes": self.read_pool.usage()}

    def close_pools(self) -> None:
        """Close the connections that belong to the event loop, in which this is to be called."""
        self.write_pool.close()
        self.read_pool.close()

    def close(self) -> None:
        """Wait for the work of threads, then close every other connection."""
        self._threads.shutdown(wait=True)
        self.engine.dispose()
        self._probe.dispose()


def _patient(seconds: float, work: Callable[[], T]) -> T:
    """What `work` returns, which waits so many seconds for a connection."""
    patience.seconds = seconds
    return work()


class _Retry(Exception):
    """The transaction was rolled back for certain and may be tried again."""
