"""What PostgreSQL tells the shop of changes that a worker has not made itself: by SQL, by another program, by a migration.

Triggers notify the channel of the catalog of whatever changes it, unless the connection says that it tells the caches by
itself, as those of the shop's workers do. Each worker listens, on a connection of its own.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import LiteralString

import psycopg

from infrastructure.database import async_connection
from infrastructure.database.prepared import Prepared, Row

log = logging.getLogger("shop.database")

# What a connection says of itself whose statements need not be told.
NOTIFIES_CACHES = "SET shop.tells_caches = on"

CATALOG = "shop_catalog"

# A worker tells the others so when it cannot tell Redis what it has changed. There is nothing that a disk must keep.
ANNOUNCEMENT = Prepared(
    "announce_changes", "SELECT set_config('synchronous_commit', 'off', true), pg_notify('shop_catalog', '')"
)

_RECONNECT_SECONDS = 1.0
# A connection at rest is asked as often whether it lives: a network that drops it does not say so.
_CHECK_SECONDS = 5.0
_ANSWER_SECONDS = 3.0


class ChangeListener:
    """Listens on one connection, for one event loop, and calls what `heard` has for the channel on which something was told.

    Several notices that come together are one. All of `heard` are also called after every connect: nobody knows what
    was told before. `questions` are asked every few seconds: one with rows means the same as a notice on its channel.
    `look` finds out whether the database is there, also while nobody else asks: it is called when the
    connection breaks, and when there is another.
    """

    def __init__(
        self,
        url: str,
        heard: Mapping[str, Callable[[], Awaitable[None]]],
        look: Callable[[], Awaitable[object]] | None = None,
        questions: Mapping[str, LiteralString] | None = None,
    ) -> None:
        self._url, self._heard, self._look, self._questions = url, heard, look, questions or {}

    async def listen(self) -> None:
        """Listen until cancelled, on another connection when one breaks."""
        while True:
            try:
                await self._listen()
            except (psycopg.Error, OSError) as error:
                log.debug("Nothing is heard of the database: %s", error)
                await self._look_after_it()
            except Exception:
                log.exception("The database cannot be listened to")
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def _listen(self) -> None:
        listen = "; ".join(f"LISTEN {channel}" for channel in self._heard)
        async with await async_connection.connect(self._url, listen, "shop notices") as connection:
            await self._look_after_it()
            told, clock = set(self._heard), asyncio.get_running_loop().time
            check_at = clock() + _CHECK_SECONDS
            while True:
                for channel in told:
                    await self._heard[channel]()
                notices = connection.notifies(timeout=max(0.0, check_at - clock()), stop_after=1)
                told = {notice.channel async for notice in notices}
                if clock() >= check_at:
                    told |= await self._check(connection)
                    check_at = clock() + _CHECK_SECONDS

    async def _check(self, connection: psycopg.AsyncConnection[Row]) -> set[str]:
        """The channels whose questions have rows. Raises an error if the connection has died without a word."""
        told = set()
        with async_connection.cut_after(connection, _ANSWER_SECONDS, "no answer in time"):
            await connection.execute("SELECT 1")
            for channel, question in self._questions.items():
                # A database at another revision may lack a table.
                with suppress(psycopg.ProgrammingError):
                    if (await connection.execute(question)).rowcount:
                        told.add(channel)
        return told

    async def _look_after_it(self) -> None:
        if self._look is not None:
            with suppress(Exception):  # Whoever looks says by itself what is wrong.
                await self._look()
