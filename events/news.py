"""News: somebody may have written events. Valkey tells it after the commit, and without it one looks every second.

    async with News(redis_url, gateway.key(NEWS)) as news:
        while True:
            await news.wait()
            ...  # number events, and read those behind the cursor

Wait first and read then, or read first: what is told while one reads ends the next wait at once.
"""

import asyncio
from typing import Self

from infrastructure.cache.subscription import Subscription

# Also the longest time in which nothing is heard of a commit. An event is to be read within a second, so the look itself
# has some of it.
LOOK_SECONDS = 0.9


class News:
    """Waits on one event loop. It listens within its `async with` block, and costs nothing outside of it."""

    def __init__(self, redis_url: str | None, channel: str) -> None:
        self._subscription = Subscription(redis_url, channel)
        self._told = asyncio.Event()
        self._listening: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._listening = asyncio.create_task(self._subscription.listen(self._told.set))
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._listening is not None
        self._listening.cancel()
        await asyncio.gather(self._listening, return_exceptions=True)

    async def wait(self, seconds: float = LOOK_SECONDS) -> None:
        """Return when something may have been written, or after so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                await self._told.wait()
        except TimeoutError:
            return
        self._told.clear()
