"""Watchdog: while requests wait long for PostgreSQL, it finds out whether it still answers, and ends their wait if not.

PostgreSQL keeps to its timeouts. Only one that is frozen, or that is no longer at the other end of the connection, does
not: then nothing ever comes.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Protocol

from infrastructure.database.sqlstate import DatabaseUnavailable, NoAnswer

TICK_SECONDS = 0.2
# PostgreSQL is asked whether it answers when a request has waited so long, and again after as long.
SUSPICIOUS_SECONDS = 1.0
# When one connection has been found to lead nowhere, the statements that were on their way are not waited for longer.
LYING_SECONDS = 3.0


class Watched(Protocol):
    """What requests wait in. Times are by the monotonic clock."""

    def oldest(self) -> float | None: ...

    def cut(self, before: float) -> bool: ...

    def give_up(self) -> None: ...


class Watchdog:
    """Looks after what is `watched`, for one event loop, as long as somebody waits.

    `ask` asks PostgreSQL something that it answers at once, and raises `NoAnswer`, in time, if it does not: then every
    wait ends (`give_up`, after `found_silent`). A statement without an answer for `longest` seconds has a connection that
    leads nowhere: it is cut, and `found_lying` is called.
    """

    def __init__(
        self,
        watched: Sequence[Watched],
        longest: float,
        ask: Callable[[], Awaitable[object]],
        found_silent: Callable[[], None],
        found_lying: Callable[[], None],
    ) -> None:
        self._watched, self._longest, self._ask = watched, longest, ask
        self._found_silent, self._found_lying = found_silent, found_lying
        self._loop: asyncio.AbstractEventLoop | None = None
        self._asking: asyncio.Task[None] | None = None
        self._asked_at = self._lied_at = 0.0

    def wake(self) -> None:
        """Begin to look, if nobody waited until now."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._asking = loop, None
            loop.call_later(TICK_SECONDS, self._look, context=Context())

    def note_lie(self) -> None:
        """A connection that nothing was known against has led nowhere. The others may be like it."""
        self._lied_at = time.monotonic()

    def _look(self) -> None:
        now = time.monotonic()
        before = max(now - self._longest, min(now - LYING_SECONDS, self._lied_at))
        cut = [watched.cut(before) for watched in self._watched]
        if any(cut):
            self._found_lying()
        since = [one for watched in self._watched if (one := watched.oldest()) is not None]
        if not since:
            self._loop = None
            return
        suspicious = now - SUSPICIOUS_SECONDS
        if self._asking is None and min(since) < suspicious and self._asked_at < suspicious:
            self._asking = asyncio.get_running_loop().create_task(self._find_out())
        asyncio.get_running_loop().call_later(TICK_SECONDS, self._look)

    async def _find_out(self) -> None:
        try:
            await self._ask()
        except NoAnswer:
            self._found_silent()
            for watched in self._watched:
                watched.give_up()
        except DatabaseUnavailable:
            # Refused, or all too busy: that is an answer.
            pass
        finally:
            self._asked_at, self._asking = time.monotonic(), None
