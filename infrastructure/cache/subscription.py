"""Subscription: hears on a channel of Redis that somebody has published, on a connection of its own."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from redis.asyncio import Redis
from redis.exceptions import RedisError

from infrastructure.cache.connection import pool_of

log = logging.getLogger("shop.redis")

_RECONNECT_SECONDS = 1.0
# A connection that is silent for so long is asked whether it lives.
_CHECK_SECONDS = 10.0


class Subscription:
    """Listens on one channel of the Redis at `url`; None for no Redis. It opens nothing before `listen`."""

    def __init__(self, url: str | None, channel: str) -> None:
        self._url, self._channel = url, channel

    async def listen(self, heard: Callable[[], None]) -> None:
        """Call `heard` for what is published, until cancelled. Without Redis, or permission, it hears nothing.

        It is also called after each connect: nobody knows what was published before.
        """
        if self._url is None:
            return
        while True:
            try:
                await self._listen(self._url, heard)
            except (RedisError, OSError, TimeoutError) as error:
                log.debug("Nothing is heard of Redis: %s", error)
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def _listen(self, url: str, heard: Callable[[], None]) -> None:
        client = Redis(connection_pool=pool_of(url, 1))
        try:
            pubsub = client.pubsub()
            await pubsub.subscribe(self._channel)
            is_asked = False
            while True:
                message = await pubsub.get_message(timeout=_CHECK_SECONDS)
                if message is None and is_asked:
                    raise TimeoutError("the connection has died without a word")
                is_asked = message is None
                if message is None:
                    await pubsub.ping()
                elif message["type"] != "pong":
                    heard()
        finally:
            with suppress(RedisError, OSError):
                await client.aclose(close_connection_pool=True)
