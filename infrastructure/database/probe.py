"""Probe: whether PostgreSQL answers, found out on a connection that no request uses, and within a short time."""

import asyncio
from collections.abc import Callable, Sequence

from config.settings import Settings
from infrastructure.database.async_pool import AsyncPool
from infrastructure.database.availability import Availability
from infrastructure.database.prepared import Prepared, Row
from infrastructure.database.sqlstate import DatabaseUnavailable, NoAnswer, is_silence

# Together shorter than the 1.5 seconds that a health check waits.
_ESTABLISHED_SECONDS = 0.7
_NEW_SECONDS = 0.7
# For who gives up all requests where there is no answer: 3 seconds after the first of them began.
MORE_SECONDS = 0.6


class Probe:
    """Asks on one connection, opened when it is needed. A busy shop must not look like a dead one.

    `found_lying` is called when the connection led nowhere, while a new one is answered.
    """

    def __init__(
        self, url: str, settings: Settings, availability: Availability, found_lying: Callable[[], None]
    ) -> None:
        self._pool = AsyncPool(url, settings, 1, name="shop health", availability=availability)
        self._found_lying = found_lying

    async def ask(self, statement: Prepared, more: float = 0.0) -> Sequence[Row] | None:
        """The rows of the statement, which only reads and takes no time.

        They are None when PostgreSQL refuses it, or gives no further connection. A new connection may take so many seconds
        `more`. Raises `NoAnswer` when no answer came in time, and `DatabaseUnavailable` when the database cannot be asked.
        """
        if not self._pool.is_connected:
            return await self._asked(statement, _ESTABLISHED_SECONDS + _NEW_SECONDS + more)
        try:
            return await self._asked(statement, _ESTABLISHED_SECONDS)
        except NoAnswer:
            # The connection may have died without a word; a new one has the last word.
            rows = await self._asked(statement, _NEW_SECONDS + more)
        self._found_lying()
        return rows

    async def _asked(self, statement: Prepared, seconds: float) -> Sequence[Row] | None:
        try:
            async with asyncio.timeout(seconds):
                return await self._pool.run(statement, {})
        except TimeoutError:
            # A host that says nothing takes all the time. The next one is tried for who asks then.
            self._pool.give_up(but_opening=True)
            raise NoAnswer("no answer in time") from None
        except DatabaseUnavailable as error:
            if is_silence(error.__cause__):
                raise NoAnswer("no answer in time") from error
            raise

    def give_one_back(self) -> None:
        """Close the connection soon: the threads have none."""
        self._pool.give_one_back()

    def renew(self) -> None:
        """Ask on another connection from now on."""
        self._pool.renew()

    def close(self) -> None:
        """Close the connection, in the event loop."""
        self._pool.close()
