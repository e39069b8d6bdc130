"""Executor: runs the work of services in one transaction of a database thread, and invalidates what it changed.

Controllers pass functions of a session. Their result comes back after the commit, when the cached responses that they
made old are invalid on every worker.

To pass work to a thread, and its result back, costs about as much as the work while other threads compute. So reads of
the same turn of the event loop share threads, and a single statement, read or write, goes through an async pool without
a thread.
"""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any, TypeVar, cast

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from infrastructure.cache.batcher import SharedFuture
from infrastructure.cache.entries import Entry
from infrastructure.cache.rendered_response import RenderedResponse
from infrastructure.cache.single_flight import SingleFlight
from infrastructure.cache.tags import Invalidation, TagValues
from infrastructure.database.engine import Database
from infrastructure.database.prepared import Parameters, Prepared, Row
from infrastructure.database.sqlstate import OUT_OF_RANGE, DatabaseUnavailable, NoAnswer, StatementRefused, sqlstate
from infrastructure.observability import server_timing
from infrastructure.observability.metric_families import DATABASE_SECONDS
from infrastructure.observability.metrics import Metrics
from infrastructure.observability.tracing import span
from repositories.author import set_author
from repositories.query.bound_query import Query
from services.base import INVALIDATION
from services.cache_service import CacheService
from services.errors import AmountTooLarge, Unavailable
from services.idempotency import Idempotency, KeyedRequest, Reply
from services.identity.audit import current_author
from services.read_hops import ReadHops
from services.single_statement import SingleStatement

log = logging.getLogger("shop.database")

T = TypeVar("T")

# So many responses that are too large for the memory are sent at a time. Each holds up to 2 MB.
_STREAMING_SLOTS = 8

# So often a late invalidation is published again.
_LATE_SECONDS = 0.5


class Executor:
    """The services' way to the database and the cache of one worker. It measures how long the database takes."""

    def __init__(self, database: Database, cache: CacheService, metrics: Metrics) -> None:
        self.database = database
        self.cache = cache
        self._metrics = metrics
        self._late_invalidations: set[asyncio.Future[None]] = set()
        self._hops = ReadHops(self._run, self._attempt)
        # Light queries that no connection has sent yet.
        self._unsent = SingleFlight()
        self._streaming_slots = asyncio.Semaphore(_STREAMING_SLOTS)

    def _observe(self, kind: str, seconds: float) -> None:
        """Count what the database took, for /metrics and for a request that asks for its own times."""
        self._metrics.observe(DATABASE_SECONDS, kind, seconds=seconds)
        server_timing.note("db", seconds)

    async def read(self, work: Callable[[Session], T]) -> T:
        """What `work` reads from committed data. Raises `Unavailable` with the database away.

        Calls with the same `work` share one result until it is sent to PostgreSQL.
        """
        if isinstance(work, Query) and work.is_light:
            return await self._unsent.result(work, partial(self._read_single_statement, work))
        return cast(T, await self._hops.read(work, time.monotonic()))

    async def _read_single_statement(self, query: Query[T]) -> T:
        since = time.monotonic()
        on_sent = partial(self._unsent.detach, query)
        steps = query.bind(self.database.engine)
        try:
            statement, parameters = next(steps).as_sent()
            with span("read", "client", db__system__name="postgresql", db__query__summary=statement.name):
                rows = await self.database.read_pool.run(statement, parameters, on_sent=on_sent, since=since)
            self._observe("read", seconds=time.monotonic() - since)
            if rows is not None:
                steps.send(rows)
                log.debug("More statements take a session: %s", statement.name)
        except StopIteration as end:
            return cast(T, end.value)
        except DatabaseUnavailable as error:
            raise Unavailable from error
        return cast(T, await self._hops.read(query, since))

    def _attempt(self, work: Callable[[Session], Any]) -> Any:
        with _service_errors():
            return self.database.read(work)

    @asynccontextmanager
    async def streaming_slot(self) -> AsyncIterator[None]:
        """A slot for a response that is rendered while it is sent. Raises `Unavailable` if none is free in time."""
        try:
            await asyncio.wait_for(self._streaming_slots.acquire(), self.database.settings.db_pool_timeout)
        except TimeoutError:
            raise Unavailable("Too many long answers are being sent, try again later") from None
        try:
            yield
        finally:
            self._streaming_slots.release()

    async def read_cached(
        self, entry: Entry, work: Callable[[Session], RenderedResponse], found: SharedFuture[TagValues] | None = None
    ) -> tuple[RenderedResponse, bool]:
        """The response of `entry`, made by `work` when it is missing or old; and whether it was there."""
        return await self.cache.get_or_load(entry, lambda: self.read(work), found)

    async def single_statement(self, work: SingleStatement[T], since: float | None = None) -> T | None:
        """The result of the statement of `work`, after its commit; None when it did nothing.

        `since` is as in `write`. Not interrupted when the client goes. Raises `Unavailable`.
        """
        return await asyncio.shield(self._run_single_statement(work, since))

    async def _run_single_statement(self, work: SingleStatement[T], since: float | None) -> T | None:
        try:
            rows = await self.send(work.statement, work.parameters, partial(work.invalidation, None), since)
        except StatementRefused:
            return None
        except DatabaseUnavailable as error:
            raise Unavailable from error
        if not rows:
            return None
        result = work.result(rows[0])
        await self.cache.invalidate(work.invalidation(result))
        return result

    async def send(
        self,
        statement: Prepared,
        parameters: Parameters,
        unknown: Callable[[], Invalidation],
        since: float | None = None,
    ) -> Sequence[Row]:
        """The rows of a statement that is a whole write, after its commit. The caller invalidates what it changed.

        Raises `StatementRefused`, and then nothing was written. After any other error it may have been committed all the
        same, and what is old then, `unknown`, is invalidated here. Raises `DatabaseUnavailable`.
        """
        started = time.monotonic()
        try:
            with span("write", "client", db__system__name="postgresql", db__query__summary=statement.name):
                return await self.database.write_pool.execute(statement, parameters, since=since)
        except StatementRefused:
            raise
        except Exception as error:
            await self.cache.invalidate(unknown())
            if isinstance(error, NoAnswer):
                self._publish_late(unknown())
            raise
        finally:
            self._observe("write", seconds=time.monotonic() - started)

    async def write(
        self, work: Callable[[Session], Reply], keyed: KeyedRequest | None = None, since: float | None = None
    ) -> Reply:
        """The reply of `work`, after its commit. With `keyed`, at most once for that key.

        `since` is when the request began to wait for the database, by the monotonic clock, if not now. Not interrupted
        when the client goes: what was committed is always invalidated in the cache.
        """
        return await asyncio.shield(self._write(work, keyed, time.monotonic() if since is None else since))

    async def transact(self, work: Callable[[Session], T], since: float | None = None) -> T:
        """The result of `work`, as `write` gives its reply."""
        return cast(T, await self.write(cast(Callable[[Session], Reply], work), since=since))

    async def _write(self, work: Callable[[Session], Reply], keyed: KeyedRequest | None, since: float) -> Reply:
        invalidation, author = Invalidation(), current_author()

        def transact(part: Callable[[Session], Reply]) -> Reply:
            def noted(session: Session) -> Reply:
                session.info[INVALIDATION] = invalidation
                set_author(session, author)
                return part(session)

            return self.database.transact(noted)

        given_up = threading.Event()
        loop = asyncio.get_running_loop()

        def in_thread() -> Reply:
            try:
                return transact(work) if keyed is None else Idempotency(keyed, transact).once(work)
            finally:
                if given_up.is_set():
                    loop.call_soon_threadsafe(self._publish_late, invalidation)

        try:
            return await self._run(in_thread, since)
        except Unavailable as error:
            if isinstance(error.__cause__, NoAnswer):
                self._publish_late(invalidation)
            raise
        finally:
            given_up.set()
            # Also after a failure: a connection lost during COMMIT may have committed.
            await self.cache.invalidate(invalidation)

    def _publish_late(self, invalidation: Invalidation) -> None:
        """Invalidate again and again: what was not answered may be committed later, by a server that was frozen."""
        if not invalidation:
            return
        task = asyncio.ensure_future(self._publish_until_ended(invalidation))
        self._late_invalidations.add(task)
        task.add_done_callback(self._late_invalidations.discard)

    async def _publish_until_ended(self, invalidation: Invalidation) -> None:
        ended_at = time.monotonic() + self.database.longest_statement
        while time.monotonic() < ended_at:
            await self.cache.invalidate(invalidation)
            await asyncio.sleep(_LATE_SECONDS)
            if self.database.availability.is_away:
                ended_at = time.monotonic() + self.database.longest_statement
        await self.cache.invalidate(invalidation)

    async def _run(self, work: Callable[[], T], since: float) -> T:
        started = time.monotonic()
        try:
            with _service_errors(), span("transaction", "client", db__system__name="postgresql"):
                return await self.database.run(work, since)
        finally:
            self._observe("transaction", seconds=time.monotonic() - started)


@contextmanager
def _service_errors() -> Iterator[None]:
    """A block whose errors of the database become the services' own, where there are such."""
    try:
        yield
    except DatabaseUnavailable as error:
        raise Unavailable from error
    except DBAPIError as error:
        if sqlstate(error) == OUT_OF_RANGE:
            raise AmountTooLarge from error
        raise
