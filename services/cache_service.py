"""The cache: answers kept in Redis until they expire or a write makes them old.

People at a prompt have `get`, `set`, `get_or_set`, `delete` and `delete_pattern`, on JSON values.

The services have `answer` and `invalidate`. Whether an answer is good is decided by `infrastructure.cache.tags`. An
answer that was sent once is remembered in the worker too, so that only its tokens and its stamp travel the
next time: it is a copy of what Redis holds, and is used only while Redis still holds that, and it is good.
Nobody sees an old answer after a write:

- who read before the write and stores after it is refused, by a comparison inside Redis;
- who asks after the write does not join a load that began before it, because the tokens differ;
- a worker that could not reach Redis to tell of a write keeps the news and tells it when it can, and
  until then neither reads nor stores what depends on it;
- a worker killed between its commit and its news is followed by one whose `start` makes everything old.

Nor does anybody see what others have written into Redis: it is sealed (`infrastructure.cache.seal`).
"""

import inspect
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import orjson

from infrastructure.cache.batcher import SharedFuture
from infrastructure.cache.connection import Argument
from infrastructure.cache.entries import Entry
from infrastructure.cache.gateway import RedisGateway, RedisUnavailable, Script
from infrastructure.cache.keys import build_key
from infrastructure.cache.lru_cache import LruCache
from infrastructure.cache.rendered_response import RenderedResponse
from infrastructure.cache.seal import Seal
from infrastructure.cache.single_flight import SingleFlight
from infrastructure.cache.stored_response import StoredResponse, decoded, encoded, needed
from infrastructure.cache.tags import (
    EVERYTHING,
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

log = logging.getLogger("shop.cache")

_SCAN_COUNT = 500

# What a worker remembers of answers, in bytes; what one takes beside its body, its compressed forms and its texts; and
# how often these are there, as headers and as lines of each form.
_MEMO_BYTES = 16 * 1024 * 1024
_ANSWER_BYTES, _COPIES = 1500, 10

# A page that new rows leave alone moves the frontier, which is kept behind the token of the rows (the last key).
_STORE_IF_CURRENT = Script(f"""{SEALED_TAG_VALUES}
local complete_to = ARGV[4]
for i = 5, #ARGV do
    local key = KEYS[i - 3]
    local version = redis.call('MGET', key)[1]
    if not frontier_of(key, version) or string.sub(version, 1, {TAG_VALUE_BYTES}) ~= ARGV[i] then return 0 end
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


class CacheService:
    """The cache of one worker. `default_ttl` is in seconds; `hits` and `misses` count its answers.

    `secret` is that of all who share the cache.
    """

    def __init__(self, gateway: RedisGateway, default_ttl: float = 300, secret: bytes = b"") -> None:
        self._gateway = gateway
        self._seal = Seal(secret)
        self._tags = CacheTags(gateway, self._seal)
        self._default_ttl = default_ttl
        self._remembered: LruCache[str, StoredResponse] = LruCache(_MEMO_BYTES)
        self._loads = SingleFlight()
        self.hits = 0
        self.misses = 0

    async def start(self) -> None:
        """Begin with nothing: a worker that was killed may have left news that nobody heard."""
        await self.make_all_old()

    async def close(self) -> None:
        """Wait for the loads under way, and tell what is still untold if Redis can be reached."""
        await self._loads.wait()
        await self._tags.close()

    # What the services use.

    def check(self, *entries: Entry) -> SharedFuture[TagValues] | None:
        """Begin to find out whether the answers of `entries` are good, where this worker remembers them all.

        Whoever looks, in the same turn of the event loop as others, shares their way to Redis. The result
        is for `answer`; not to use it is no error.
        """
        if not self._gateway.available:
            return None
        found = None
        for entry in entries:
            if self._remembered.get(entry.key) is None:
                return None
            found = self._tags.check(entry.tokens, entry.key)
        return found

    def get_if_fresh(self, entry: Entry, found: TagValues) -> RenderedResponse | None:
        """The answer of `entry`, if this worker remembers it and it is good by what `look` found."""
        remembered = self._remembered.get(entry.key)
        if remembered is None or not remembered.is_good(entry, found) or self._tags.is_pending(entry.tags):
            return None
        self._note_hit(entry)
        return remembered.answer

    async def answer(
        self,
        entry: Entry,
        load: Callable[[], Awaitable[RenderedResponse]],
        found: SharedFuture[TagValues] | None = None,
    ) -> tuple[RenderedResponse, bool]:
        """The answer of `entry`, and whether it came from the cache. `found` is what `look` returned.

        `load` makes it when it is missing or old, at most once per key and version however many ask at
        once. It must take its database snapshot after it is called. What it raises goes to all who wait.
        """
        if not self._gateway.enabled or self._tags.is_pending(entry.tags):
            return await self._miss(entry.key, load), False
        try:
            found = found or self.check(entry)
            answer = None if found is None else self.get_if_fresh(entry, await found)
            if answer is not None:
                return answer, True
            tokens, answer = await self._read(entry)
        except RedisUnavailable as error:
            log.debug("Cache away for %s: %s", entry.key, error)
            return await self._miss(entry.key, load), False
        if answer is not None:
            self._note_hit(entry)
            return answer, True

        async def load_and_store() -> RenderedResponse:
            answer = await self._miss(entry.key, load)
            await self._store(entry, tokens, answer)
            return answer

        # Nobody joins a load that read other tokens: it may have seen what a write since has changed.
        return await self._loads.result((entry.key, *tokens.values()), load_and_store), False

    async def invalidate(self, invalidation: Invalidation) -> None:
        """Make every answer that `invalidation` concern old, for every worker.

        To be awaited after the commit and before the writer is answered. It never fails.
        """
        await self._tags.publish(invalidation)

    async def make_all_old(self) -> None:
        """Make every answer old, for every worker. It never fails."""
        await self.invalidate(Invalidation({EVERYTHING}))

    # What people at a prompt use.

    build_key = staticmethod(build_key)

    async def get(self, key: str) -> Any:
        """The JSON value under `key`; None when there is none, or something that is not JSON."""
        found, value = await self._value(key)
        return value if found else None

    async def set(self, key: str, value: Any, ttl: float | None = None) -> bool:
        """Keep `value`, which must be JSON, for `ttl` seconds. False when Redis is away."""
        try:
            await self._gateway.call("SET", key, orjson.dumps(value), "PX", self._milliseconds(ttl))
        except RedisUnavailable:
            return False
        return True

    async def get_or_set(self, key: str, loader: Callable[[], Any], ttl: float | None = None) -> Any:
        """The value under `key`, else what `loader` returns or resolves to, which is then kept."""
        found, value = await self._value(key)
        if found:
            return value

        async def load_and_set() -> Any:
            loaded = loader()
            value = await loaded if inspect.isawaitable(loaded) else loaded
            await self.set(key, value, ttl)
            return value

        return await self._loads.result(key, load_and_set)

    async def delete(self, *keys: str) -> int:
        """Delete `keys`; how many there were, 0 when Redis is away."""
        if not keys:
            return 0
        try:
            return int(await self._gateway.call("UNLINK", *keys))
        except RedisUnavailable:
            return 0

    async def delete_pattern(self, pattern: str) -> int:
        """Delete the keys that match the glob `pattern`, a few at a time; how many were deleted."""
        deleted, cursor = 0, b"0"
        while True:
            try:
                cursor, keys = await self._gateway.call("SCAN", cursor, "MATCH", pattern, "COUNT", _SCAN_COUNT)
                if keys:
                    deleted += await self._gateway.call("UNLINK", *keys)
            except RedisUnavailable:
                return deleted
            if cursor == b"0":
                return deleted

    # Reading and storing.

    async def _value(self, key: str) -> tuple[bool, Any]:
        try:
            (stored,) = await self._gateway.call("MGET", key)
            return stored is not None, orjson.loads(stored or b"null")
        except (RedisUnavailable, orjson.JSONDecodeError):
            return False, None

    def _note_hit(self, entry: Entry) -> None:
        self.hits += 1
        log.debug("Cache HIT: %s", entry.key)

    async def _miss(self, key: str, load: Callable[[], Awaitable[RenderedResponse]]) -> RenderedResponse:
        self.misses += 1
        log.debug("Cache MISS: %s", key)
        return await load()

    async def _read(self, entry: Entry) -> tuple[CurrentTagValues, RenderedResponse | None]:
        """The current tokens by their keys, and the answer that Redis holds if it is good by them."""
        found = await self._tags.read(entry.tokens, entry.key)
        tokens = {key: token for key in entry.tokens if (token := found[key]) is not None}
        stored = found[entry.key]
        if stored is None:
            return tokens, None
        known = self._remembered.get(entry.key)
        # Of all who read this in the same turn, the first has decoded it.
        remembered = (
            known if known is not None and stored.startswith(known.stamp) else decoded(stored, entry, self._seal)
        )
        if remembered is None or not remembered.is_good(entry, {**tokens, entry.key: remembered.stamp}):
            return tokens, None
        if remembered is not known:
            self._remember(entry, remembered)
        return tokens, remembered.answer

    async def _store(self, entry: Entry, tokens: CurrentTagValues, answer: RenderedResponse) -> None:
        if self._tags.is_pending(entry.tags):
            return
        good_with = {key: tokens[key] for key in needed(entry, answer.complete_to)}
        stored = encoded(answer, good_with, entry, self._seal)
        keys, complete_to = [entry.key, *tokens], ""
        if entry.resource is not None and answer.complete_to is not None:
            keys.append(tag_key(rows_tag(entry.resource)))
            complete_to = str(answer.complete_to)
        ttl = self._milliseconds(entry.ttl)
        arguments: list[Argument] = [self._seal.script_key, stored, ttl, complete_to, *tokens.values()]
        try:
            if await self._gateway.run(_STORE_IF_CURRENT, keys, arguments):
                self._remember(entry, StoredResponse(stored[:STAMP_BYTES], tuple(good_with.items()), answer))
        except RedisUnavailable as error:
            log.debug("Not stored: %s: %s", entry.key, error)

    def _remember(self, entry: Entry, remembered: StoredResponse) -> None:
        answer = remembered.answer
        texts = len(entry.key) + sum(map(len, answer.headers.values()))
        weight = len(answer.body) + answer.coded.size + _COPIES * texts + _ANSWER_BYTES
        self._remembered.put(entry.key, remembered, weight)
        answer.coded.on_growth = partial(self._weigh, entry)

    def _weigh(self, entry: Entry) -> None:
        """Count what was made of the entry's answer, while it is remembered."""
        remembered = self._remembered.get(entry.key)
        if remembered is not None:
            self._remember(entry, remembered)

    def _milliseconds(self, ttl: float | None) -> int:
        return max(1, int((self._default_ttl if ttl is None else ttl) * 1000))
