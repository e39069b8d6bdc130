"""Runs the work of services: one hop to a database thread, one transaction, and the news for the cache.

Controllers hand over functions of a session; what these return was committed before it comes back,
and cached answers that it made old are out of date on every worker by then.
"""

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from config.database import Database, DatabaseUnavailable, sqlstate
from config.turns import SharedAnswer
from services.answer import Answer, Entry
from services.base import NEWS
from services.cache_service import CacheService
from services.errors import AmountTooLarge, Unavailable
from services.idempotency import Idempotency, KeyedRequest, Reply
from services.versions import Found, News

T = TypeVar("T")
NUMERIC_OUT_OF_RANGE = "22003"


class Executor:
    """The services' way to the database and the cache of one worker."""

    def __init__(self, database: Database, cache: CacheService) -> None:
        self.database = database
        self.cache = cache
        self._late_news: set[asyncio.Future[None]] = set()

    async def read(self, work: Callable[[Session], T]) -> T:
        """What `work` reads from committed data. Raises `Unavailable` with the database away."""
        return await self._run(lambda: self.database.read(work))

    async def read_cached(
        self, entry: Entry, work: Callable[[Session], Answer], found: SharedAnswer[Found] | None = None
    ) -> tuple[Answer, bool]:
        """The answer of `entry`, made by `work` when it is missing or old; and whether it was there."""
        return await self.cache.answer(entry, lambda: self.read(work), found)

    async def write(
        self,
        work: Callable[[Session], Reply],
        keyed: KeyedRequest | None = None,
        at_once: Callable[[Session], Reply | None] | None = None,
    ) -> Reply:
        """The reply of `work`, after its commit. With `keyed`, at most once for that key.

        `at_once` may do the same by one statement that is a transaction of its own; where it returns
        None, nothing was done and `work` is asked. Not interrupted when the client goes: what was
        committed is always told to the cache.
        """
        return await asyncio.shield(self._write(work, keyed, at_once))

    async def _write(
        self,
        work: Callable[[Session], Reply],
        keyed: KeyedRequest | None,
        at_once: Callable[[Session], Reply | None] | None,
    ) -> Reply:
        news = News()

        def with_news(part: Callable[[Session], T]) -> Callable[[Session], T]:
            def noted(session: Session) -> T:
                session.info[NEWS] = news
                return part(session)

            return noted

        def transact(part: Callable[[Session], Reply]) -> Reply:
            return self.database.transact(with_news(part))

        given_up = threading.Event()
        loop = asyncio.get_running_loop()

        def in_thread() -> Reply:
            try:
                reply = None if at_once is None else self.database.at_once(with_news(at_once))
                if reply is not None:
                    return reply
                return transact(work) if keyed is None else Idempotency(keyed, transact).once(work)
            finally:
                if given_up.is_set():
                    loop.call_soon_threadsafe(self._tell_late, news)

        try:
            return await self._run(in_thread)
        finally:
            given_up.set()
            # Also after a failure: a connection lost during COMMIT may have committed.
            if news:
                await self.cache.invalidate(news)

    def _tell_late(self, news: News) -> None:
        """Tell the cache again: a database that was frozen may have committed long after its answer was given up."""
        task = asyncio.ensure_future(self.cache.invalidate(news))
        self._late_news.add(task)
        task.add_done_callback(self._late_news.discard)

    async def _run(self, work: Callable[[], T]) -> T:
        try:
            return await self.database.run(work)
        except DatabaseUnavailable as error:
            raise Unavailable from error
        except DBAPIError as error:
            if sqlstate(error) == NUMERIC_OUT_OF_RANGE:
                raise AmountTooLarge from error
            raise
