"""Publisher: tells Redis what is stale, and what Redis did not hear, it tells the workers that would believe Redis.

No write is acknowledged before Redis has its invalidation, or every worker knows that Redis is not to be believed: the
workers of the same launcher by the epoch (`infrastructure.cache.epoch`), which each looks at before it asks Redis, and
the workers of others by an announcement, which reaches them soon after.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import Context

from infrastructure.cache.batcher import Batcher
from infrastructure.cache.epoch import CacheEpoch
from infrastructure.cache.gateway import RedisGateway, RedisUnavailable, Script
from infrastructure.cache.seal import Seal
from infrastructure.cache.tags import (
    EVERYTHING,
    SEALED_TAG_VALUES,
    TAG_VALUE_BYTES,
    TAG_VALUE_MILLISECONDS,
    Invalidation,
    rows_tag,
    size_tag,
    tag_key,
)

log = logging.getLogger("shop.cache")

# The channel, without the prefix, on which those are woken who wait for what others write.
NEWS = "news"

# So long a write waits, at most, until the workers of other launchers are told that Redis was not.
ANNOUNCE_SECONDS = 0.05
_SETTLE_SECONDS = 0.25
_TAGS_PER_CALL = 1000
# Some fifty transactions.
_LOG_BYTES = 500

# Deleting also works on a server that is out of memory, where setting new values does not.
# Of each resource with new rows come the keys of two tags, and two arguments. Those who wait for news are told on a
# channel, in the same call; a user of Redis who may not do that, or nobody who listens, is no error. A log that has become long is no longer
# worth more than to count again.
_PUBLISH = Script(f"""{SEALED_TAG_VALUES}
local tags = #KEYS - #ARGV + 2
for i = 1, tags do redis.call('UNLINK', KEYS[i]) end
for i = 3, #ARGV, 2 do
    local rows, size = KEYS[tags + i - 2], KEYS[tags + i - 1]
    local frontier = frontier_of(rows, redis.call('MGET', rows)[1])
    if not frontier or tonumber(ARGV[i]) <= frontier then redis.call('UNLINK', rows) end
    local counted = redis.call('MGET', size)[1]
    local note, logged = note_of(size, counted), nil
    if note and ARGV[i + 1] ~= '' and #note < {_LOG_BYTES} then
        local longer = sealed(size, string.sub(counted, 1, {TAG_VALUE_BYTES}), note .. ',' .. ARGV[i + 1])
        logged = redis.pcall('SET', size, longer, 'PX', {TAG_VALUE_MILLISECONDS})
    end
    if not logged or logged.err then redis.call('UNLINK', size) end
end
redis.pcall('PUBLISH', ARGV[2], '')
return 1
""")
# Of a write that makes nothing stale.
_TELL = Script("redis.pcall('PUBLISH', KEYS[1], '') return 1")


async def _nobody() -> None:
    """Where there are no other launchers."""


class Publisher:
    """Publishes the invalidations of one worker.

    `epoch` is what the workers of one launcher share. `announce` makes the workers of all launchers call
    `publish_everything`.
    """

    def __init__(
        self,
        gateway: RedisGateway,
        seal: Seal,
        epoch: CacheEpoch | None = None,
        announce: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._gateway, self._seal = gateway, seal
        self._channel = gateway.key(NEWS)
        self._telling: set[asyncio.Task[None]] = set()
        self._epoch = epoch or CacheEpoch()
        self._settled = self._epoch.current()
        self._settler: asyncio.Task[None] | None = None
        self._announce = announce or _nobody
        self._announcements: Batcher[None, None] = Batcher(lambda: None, self._announced)
        # What Redis confirmed before it went away may be missing where it comes back, such as on a replica.
        gateway.on_away = self._epoch.renew_here

    async def close(self) -> bool:
        """Settle the epoch if Redis can be reached; whether that succeeded."""
        tasks = [*self._telling, *([] if self._settler is None else [self._settler])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._announcements.close()
        settled = not self._gateway.enabled or self._is_settled_now() or await self._settle()
        if not settled:
            log.info("Stopped before Redis could be told that what it holds is stale")
        return settled

    async def publish(self, invalidation: Invalidation) -> None:
        """Make every response with a tag of `invalidation` stale, for every worker.

        To be awaited after the commit and before the response to the write is sent. It never fails: what Redis did not
        receive, or was not waited for to the end, begins a new epoch.

        Also those learn of the write who wait for news; nobody waits for them.
        """
        if not self._gateway.enabled:
            return
        if not invalidation:
            self._tell_soon()
            return
        try:
            await self._send(invalidation)
        except RedisUnavailable as error:
            log.debug("Not published: %s: %s", invalidation, error)
            self._begin_epoch()
            await asyncio.wait({self._announcements.join()[1]}, timeout=ANNOUNCE_SECONDS)
        except asyncio.CancelledError:
            self._begin_epoch()
            raise

    async def publish_everything(self) -> None:
        """Make every response stale. This worker uses none before that has succeeded; others must know by themselves."""
        if self._gateway.enabled:
            self._epoch.renew_here()
            if not await self._settle():
                self._settle_soon()

    def is_settled(self) -> bool:
        """Whether Redis may be asked: it has received the invalidation of every write that was acknowledged until now.

        If not, it will be told soon.
        """
        if self._settled == self._epoch.current():
            return True
        self._settle_soon()
        return False

    def _is_settled_now(self) -> bool:
        return self._settled == self._epoch.current()

    def _begin_epoch(self) -> None:
        self._epoch.renew()
        self._settle_soon()

    def _settle_soon(self) -> None:
        if self._settler is None or self._settler.done():
            self._settler = asyncio.create_task(self._settle_until_received(), context=Context())

    async def _settle_until_received(self) -> None:
        while not (self._is_settled_now() or await self._settle()):  # noqa: ASYNC110 (Redis sets no event)
            await asyncio.sleep(_SETTLE_SECONDS)

    async def _settle(self) -> bool:
        """Make everything stale. What begins a new epoch meanwhile needs another time."""
        epoch = self._epoch.current()
        try:
            await self._send(Invalidation({EVERYTHING}))
        except RedisUnavailable as error:
            log.debug("Redis cannot be reached yet: %s", error)
            return False
        self._settled = epoch
        return True

    async def _send(self, invalidation: Invalidation) -> None:
        tags = [tag_key(tag) for tag in invalidation.tags]
        # In parts, so that nobody waits long behind the thousands of tags of a bulk change.
        while len(tags) > _TAGS_PER_CALL:
            part, tags = tags[:_TAGS_PER_CALL], tags[_TAGS_PER_CALL:]
            await self._gateway.run(_PUBLISH, part, (self._seal.script_key, self._channel))
        arguments: list[str | int] = [self._seal.script_key, self._channel]
        for resource, rows in invalidation.added.items():
            tags += (tag_key(rows_tag(resource)), tag_key(size_tag(resource)))
            arguments += (rows.first_key, rows.transaction or "")
        await self._gateway.run(_PUBLISH, tags, arguments)

    def _tell_soon(self) -> None:
        if self._gateway.available:
            task = asyncio.create_task(self._tell(), context=Context())
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)

    async def _tell(self) -> None:
        with suppress(RedisUnavailable):  # They look by themselves every second.
            await self._gateway.run(_TELL, (NEWS,))

    async def _announced(self, _: None) -> None:
        try:
            await self._announce()
        except Exception as error:
            # The database is away, too, and says so by itself.
            log.debug("The other workers could not be told: %s", error)
