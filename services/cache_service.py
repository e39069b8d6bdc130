"""Cache-aside: responses kept in Redis until they expire or a write invalidates them.

The services have `get_or_load` and `invalidate`, people at a prompt what `services.json_cache` has. Cache tags decide whether a response is fresh
(`infrastructure.cache.tags`). The worker keeps a copy of each response that it sent, and only the tag values and the stamp
are fetched the next time: the copy is used while Redis still holds the same response, and it is fresh. No client gets a
stale response after a write:

- what was read before the write and is stored after it is refused, by a comparison inside Redis;
- a request after the write does not join a load that began before it, because the tag values differ;
- a worker whose invalidation does not reach Redis begins a new epoch, in which no worker reads or stores responses
  before it has made all older ones stale (`infrastructure.cache.epoch`);
- a worker that was killed between its commit and the invalidation is followed by one whose `start` invalidates all.

Nor does a client get what others have written into Redis: responses are sealed (`infrastructure.cache.seal`).
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial

from infrastructure.cache.batcher import SharedFuture
from infrastructure.cache.connection import Argument
from infrastructure.cache.entries import Entry
from infrastructure.cache.epoch import CacheEpoch
from infrastructure.cache.gateway import RedisGateway, RedisUnavailable, Script
from infrastructure.cache.lru_cache import LruCache
from infrastructure.cache.publisher import Publisher
from infrastructure.cache.rendered_response import RenderedResponse
from infrastructure.cache.seal import Seal
from infrastructure.cache.stored_response import StoredResponse, deciding_values, decoded, encoded
from infrastructure.cache.tags import (
    SEALED_TAG_VALUES,
    STAMP_BYTES,
    TAG_VALUE_BYTES,
    TAG_VALUE_MILLISECONDS,
    CacheTags,
    CurrentTagValues,
    Invalidation,
    TagValues,
    rows_tag,
    tag_key,
)
from services.json_cache import JsonCache

log = logging.getLogger("shop.cache")

# The bytes of a worker's copies of responses; those of one beside its body, its compressed forms and its texts; and how
# often the texts are there, as headers and as lines of each form.
_COPIES_BYTES = 16 * 1024 * 1024
_RESPONSE_BYTES, _TEXT_COPIES = 1500, 10

# A plus behind the value of a tag stands for whatever has been logged since: a count grows by it.
# A page that new rows do not change moves the frontier, which is behind the value of the tag of the rows (the last key).
_STORE_IF_CURRENT = Script(f"""{SEALED_TAG_VALUES}
local complete_to = ARGV[4]
for i = 5, #ARGV do
    local key = KEYS[i - 3]
    local current = redis.call('MGET', key)[1]
    if not note_of(key, current) then return 0 end
    local value = string.sub(current, 1, {TAG_VALUE_BYTES})
    if seen(current) ~= ARGV[i] and value .. '+' ~= ARGV[i] then return 0 end
end
if complete_to ~= '' then
    local key = KEYS[#KEYS]
    local rows = redis.call('MGET', key)[1]
    local frontier = frontier_of(key, rows)
    if not frontier then return 0 end
    if tonumber(complete_to) > frontier then
        local moved = sealed(key, string.sub(rows, 1, {TAG_VALUE_BYTES}), complete_to)
        redis.call('SET', key, moved, 'PX', {TAG_VALUE_MILLISECONDS})
    end
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
""")


class CacheService(JsonCache):
    """The cache of one worker. `default_ttl` is in seconds; `secret` is that of all workers that share the cache."""

    def __init__(
        self,
        gateway: RedisGateway,
        default_ttl: float = 300,
        secret: bytes = b"",
        epoch: CacheEpoch | None = None,
        announce: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        super().__init__(gateway, default_ttl)
        self._seal = Seal(secret)
        self._tags = CacheTags(gateway, self._seal)
        self._publisher = Publisher(gateway, self._seal, epoch, announce)
        self._copies: LruCache[str, StoredResponse] = LruCache(_COPIES_BYTES)
        self.hits = 0
        self.misses = 0

    async def start(self) -> None:
        """Begin with nothing: a worker that was killed may have left invalidations unpublished. It never fails."""
        # A server that will not do for the shop is found out before it is used.
        if self._gateway.enabled:
            with suppress(RedisUnavailable):
                await self._gateway.ping()
        await self.invalidate_all()

    async def close(self) -> None:
        """Wait for the loads under way, and tell Redis what it does not know yet if it can be reached."""
        await self._loads.wait()
        await self._publisher.close()

    def check(self, *entries: Entry) -> SharedFuture[TagValues] | None:
        """Begin to fetch what decides whether the responses of `entries` are fresh, if this worker has copies of all.

        All checks of one turn of the event loop share one call. The result is for `get_if_fresh` or `get_or_load`; not
        to use it is no error.
        """
        if not self._gateway.available or not self._publisher.is_settled():
            return None
        current = None
        for entry in entries:
            if self._copies.get(entry.key) is None:
                return None
            current = self._tags.check(entry.tag_keys, entry.key)
        return current

    def check_tags(self, tag_keys: Sequence[str]) -> SharedFuture[TagValues] | None:
        """Begin to fetch the values under these keys, in the same call as `check`; None while Redis cannot tell them."""
        if not self._gateway.available or not self._publisher.is_settled():
            return None
        return self._tags.check(tag_keys)

    async def current_tags(self, tag_keys: Sequence[str]) -> CurrentTagValues | None:
        """The values under these keys, which are made where they are missing; None while Redis cannot tell them."""
        if not self._gateway.enabled or not self._publisher.is_settled():
            return None
        try:
            found = await self._tags.read(tag_keys)
        except RedisUnavailable:
            return None
        return {key: value for key in tag_keys if (value := found[key]) is not None}

    def get_if_fresh(self, entry: Entry, current: TagValues) -> RenderedResponse | None:
        """The response of `entry`, if this worker has a copy that is fresh by the result of `check`."""
        copy = self._copies.get(entry.key)
        if copy is None or not copy.is_fresh(entry, current):
            return None
        self._note_hit(entry)
        return copy.response_now(current)

    async def get_or_load(
        self,
        entry: Entry,
        load: Callable[[], Awaitable[RenderedResponse]],
        current: SharedFuture[TagValues] | None = None,
    ) -> tuple[RenderedResponse, bool]:
        """The response of `entry`, and whether it came from the cache. `current` is what `check` returned.

        `load` makes it when it is missing or stale, once for all requests with the same key and tag values at the same
        time. It must take its database snapshot after it is called. What it raises goes to all of them.
        """
        if not self._gateway.enabled or not self._publisher.is_settled():
            return await self._miss(entry.key, load), False
        try:
            current = current or self.check(entry)
            response = None if current is None else self.get_if_fresh(entry, await current)
            if response is not None:
                return response, True
            tag_values, response = await self._read(entry)
        except RedisUnavailable as error:
            log.debug("Cache away for %s: %s", entry.key, error)
            return await self._miss(entry.key, load), False
        if response is not None:
            self._note_hit(entry)
            return response, True

        async def load_and_store() -> RenderedResponse:
            response = await self._miss(entry.key, load)
            await self._store(entry, tag_values, response)
            return response

        # A load with other tag values is not joined: it may have read what a write has changed since.
        return await self._loads.result((entry.key, *tag_values.values()), load_and_store), False

    async def invalidate(self, invalidation: Invalidation) -> None:
        """Make every response with a tag of `invalidation` stale, for every worker.

        To be awaited after the commit and before the response to the write is sent. It never fails.
        """
        await self._publisher.publish(invalidation)

    async def invalidate_all(self) -> None:
        """Make every response stale, because of what each worker learns by itself. It never fails."""
        await self._publisher.publish_everything()

    # Parts of `get_or_load`.

    def _note_hit(self, entry: Entry) -> None:
        self.hits += 1
        log.debug("Cache HIT: %s", entry.key)

    async def _miss(self, key: str, load: Callable[[], Awaitable[RenderedResponse]]) -> RenderedResponse:
        self.misses += 1
        log.debug("Cache MISS: %s", key)
        return await load()

    async def _read(self, entry: Entry) -> tuple[CurrentTagValues, RenderedResponse | None]:
        """The current values of the entry's tags by their keys, and the response that Redis holds if it is fresh."""
        found = await self._tags.read(entry.tag_keys, entry.key)
        tag_values = {key: value for key in entry.tag_keys if (value := found[key]) is not None}
        stored = found[entry.key]
        if stored is None:
            return tag_values, None
        known = self._copies.get(entry.key)
        # Of all requests that read this in the same turn, the first has decoded it.
        copy = known if known is not None and stored.startswith(known.stamp) else decoded(stored, entry, self._seal)
        if copy is None or not copy.is_fresh(entry, {**tag_values, entry.key: copy.stamp}):
            return tag_values, None
        if copy is not known:
            self._keep_copy(entry, copy)
        return tag_values, copy.response_now(tag_values)

    async def _store(self, entry: Entry, tag_values: CurrentTagValues, response: RenderedResponse) -> None:
        deciding = deciding_values(entry, response, tag_values)
        expected = tag_values.values() if response.snapshot is None else [value + b"+" for value in deciding.values()]
        stored = encoded(response, deciding, entry, self._seal)
        keys, complete_to = [entry.key, *tag_values], ""
        if entry.resource is not None and response.complete_to is not None:
            keys.append(tag_key(rows_tag(entry.resource)))
            complete_to = str(response.complete_to)
        ttl = self._milliseconds(entry.ttl)
        arguments: list[Argument] = [self._seal.script_key, stored, ttl, complete_to, *expected]
        try:
            if await self._gateway.run(_STORE_IF_CURRENT, keys, arguments):
                self._keep_copy(entry, StoredResponse(stored[:STAMP_BYTES], tuple(deciding.items()), response))
        except RedisUnavailable as error:
            log.debug("Not stored: %s: %s", entry.key, error)

    def _keep_copy(self, entry: Entry, copy: StoredResponse) -> None:
        response = copy.response
        texts = len(entry.key) + sum(map(len, response.headers.values()))
        weight = len(response.body) + response.coded.size + _TEXT_COPIES * texts + _RESPONSE_BYTES
        self._copies.put(entry.key, copy, weight)
        response.coded.on_growth = partial(self._weigh_again, entry)

    def _weigh_again(self, entry: Entry) -> None:
        """Count the forms that were made of the entry's response, if its copy is still kept."""
        copy = self._copies.get(entry.key)
        if copy is not None:
            self._keep_copy(entry, copy)
