"""The cache: answers kept in Redis until they expire or a write makes them old.

People at a prompt have `get`, `set`, `get_or_set`, `delete` and `delete_pattern`, on JSON values.

The services have `answer` and `invalidate`. Every answer depends on tags, and every tag has a version in
Redis: a random token. An answer is stored together with the tokens that were current before it was loaded
and is valid only while they still are, so that a write makes all answers of its tags old with one command:
it deletes their tokens. A token is random, never a counter, because a counter starts again after a flush
and would make an old answer valid. Nobody sees an old answer after a write:

- who read before the write and stores after it is refused, by a comparison inside Redis;
- who asks after the write does not join a load that began before it, because the tokens differ;
- a worker that could not reach Redis to tell of a write keeps the news and tells it when it can, and
  until then neither reads nor stores what depends on it;
- a worker killed between its commit and its news is followed by one whose `start` makes everything old.
"""

import asyncio
import inspect
import logging
import secrets
from collections.abc import Awaitable, Callable, Collection, Coroutine, Hashable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar, cast

import orjson

from config.redis_config import RedisGateway, RedisUnavailable, Script
from services.cache_key import build_key

log = logging.getLogger("shop.cache")

T = TypeVar("T")

# The tag that every answer depends on.
EVERYTHING = "everything"

# News beyond so many tags become news of everything.
_MOST_UNTOLD_TAGS = 1000
_TELL_SECONDS = 0.25

# A token outlives the answers that name it; should it not, they are misses.
_TOKEN_MILLISECONDS = 24 * 3600 * 1000

_SCAN_COUNT = 500

# MGET reads a foreign type as missing, and SET replaces it: garbage under a key is no error anywhere.
_CREATE_TOKENS = Script("""
local tokens = redis.call('MGET', unpack(KEYS))
for i, key in ipairs(KEYS) do
    if not tokens[i] then
        redis.call('SET', key, ARGV[1], 'PX', ARGV[2])
        tokens[i] = ARGV[1]
    end
end
return tokens
""")

_STORE_IF_CURRENT = Script("""
local tokens = redis.call('MGET', unpack(KEYS, 2))
for i, token in ipairs(tokens) do
    if token ~= ARGV[i + 2] then return 0 end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
""")

Tokens = tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """A rendered answer: the bytes of its body, its entity tag, and the headers that belong to them."""

    body: bytes
    etag: str
    headers: dict[str, str] = field(default_factory=dict)


class CacheService:
    """The cache of one worker. `default_ttl` is in seconds; `hits` and `misses` count its answers."""

    def __init__(self, gateway: RedisGateway, default_ttl: float = 300) -> None:
        self._gateway = gateway
        self._default_ttl = default_ttl
        self._loads: dict[Hashable, asyncio.Task[Any]] = {}
        self._untold: set[str] = set()
        self._being_told: set[str] = set()
        self._teller: asyncio.Task[None] | None = None
        self.hits = 0
        self.misses = 0

    async def start(self) -> None:
        """Make everything old: a worker that was killed may have left news that nobody heard."""
        await self.invalidate([EVERYTHING])

    async def close(self) -> None:
        """Wait for the loads under way, and tell what is still untold if Redis can be reached."""
        if self._loads:
            await asyncio.wait(list(self._loads.values()))
        if self._teller is not None:
            self._teller.cancel()
            await asyncio.gather(self._teller, return_exceptions=True)
        if self._untold and not await self._tell_untold():
            log.warning("Stopped before Redis could be told of changes in: %s", ", ".join(sorted(self._untold)))

    # What the services use.

    async def answer(
        self, key: str, tags: Sequence[str], load: Callable[[], Awaitable[Answer]], ttl: float | None = None
    ) -> tuple[Answer, bool]:
        """The answer under `key`, and whether it came from the cache.

        `load` makes it when it is missing or old, at most once per key and version however many ask at
        once. It must take its database snapshot after it is called. What it raises goes to all who wait.
        """
        tags = (EVERYTHING, *tags)
        if not self._gateway.enabled or self._is_untold(tags):
            return await self._miss(key, load), False
        try:
            tokens, answer = await self._read(key, tags)
        except RedisUnavailable as error:
            log.debug("Cache away for %s: %s", key, error)
            return await self._miss(key, load), False
        if answer is not None:
            self.hits += 1
            log.debug("Cache HIT: %s", key)
            return answer, True

        async def load_and_store() -> Answer:
            answer = await self._miss(key, load)
            await self._store(key, tags, tokens, answer, ttl)
            return answer

        # Nobody joins a load that read other tokens: it may have seen what a write since has changed.
        return await self._once((key, tokens), load_and_store), False

    async def invalidate(self, tags: Collection[str]) -> None:
        """Make every answer that depends on one of `tags` old, for every worker.

        To be awaited after the commit and before the writer is answered. It never fails: news that Redis
        did not hear, or that nobody waited for to the end, are kept and told later.
        """
        if not tags or not self._gateway.enabled:
            return
        try:
            await self._tell(tags)
        except RedisUnavailable as error:
            log.debug("Keeping the news of %s: %s", tags, error)
            self._keep(tags)
        except asyncio.CancelledError:
            self._keep(tags)
            raise

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

        return await self._once(key, load_and_set)

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

    async def _miss(self, key: str, load: Callable[[], Awaitable[Answer]]) -> Answer:
        self.misses += 1
        log.debug("Cache MISS: %s", key)
        return await load()

    async def _read(self, key: str, tags: Sequence[str]) -> tuple[Tokens, Answer | None]:
        """The current tokens of `tags`, and the answer under `key` if it is valid by them."""
        versions = [_version_key(tag) for tag in tags]
        entry, *tokens = await self._gateway.call("MGET", key, *versions)
        if None in tokens:
            fresh = secrets.token_hex(12)
            tokens = await self._gateway.run(_CREATE_TOKENS, versions, (fresh, _TOKEN_MILLISECONDS))
        return tuple(tokens), None if entry is None else _decoded(entry, tokens)

    async def _store(self, key: str, tags: Sequence[str], tokens: Tokens, answer: Answer, ttl: float | None) -> None:
        if self._is_untold(tags):
            return
        keys = [key, *map(_version_key, tags)]
        try:
            await self._gateway.run(
                _STORE_IF_CURRENT, keys, (_encoded(answer, tokens), self._milliseconds(ttl), *tokens)
            )
        except RedisUnavailable as error:
            log.debug("Not stored: %s: %s", key, error)

    def _milliseconds(self, ttl: float | None) -> int:
        return max(1, int((self._default_ttl if ttl is None else ttl) * 1000))

    async def _once(self, name: Hashable, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What `work` returns, run once for all who ask under `name` meanwhile.

        It runs in a task of its own, so that whoever came first may leave without failing the others.
        """
        task = self._loads.get(name)
        if task is None:
            task = self._loads[name] = asyncio.create_task(work())
            task.add_done_callback(partial(self._forget, name))
        return cast(T, await asyncio.shield(task))

    def _forget(self, name: Hashable, task: asyncio.Task[Any]) -> None:
        del self._loads[name]
        if not task.cancelled():
            # All who waited may be gone; an error that nobody collects would be reported as lost.
            task.exception()

    # News of writes.

    async def _tell(self, tags: Collection[str]) -> None:
        # Deleting works on a server that is out of memory too, where setting a new token does not.
        await self._gateway.call("UNLINK", *map(_version_key, tags))

    def _is_untold(self, tags: Collection[str]) -> bool:
        return not (self._untold.isdisjoint(tags) and self._being_told.isdisjoint(tags))

    def _keep(self, tags: Collection[str]) -> None:
        self._untold.update(tags)
        if len(self._untold) > _MOST_UNTOLD_TAGS:
            self._untold = {EVERYTHING}
        if self._teller is None or self._teller.done():
            self._teller = asyncio.create_task(self._tell_until_heard())

    async def _tell_until_heard(self) -> None:
        while self._untold:
            await asyncio.sleep(_TELL_SECONDS)
            await self._tell_untold()

    async def _tell_untold(self) -> bool:
        # News that come while these travel are new ones: they must not be forgotten with these.
        self._being_told, self._untold = self._untold, set()
        told = False
        try:
            await self._tell(self._being_told)
            told = True
        except RedisUnavailable as error:
            log.debug("Redis does not hear the news yet: %s", error)
        finally:
            if not told:
                self._untold |= self._being_told
            self._being_told = set()
        return told


def _version_key(tag: str) -> str:
    return f"version:{tag}"


def _encoded(answer: Answer, tokens: Tokens) -> bytes:
    """The stored form: one line of JSON about the answer, then its body."""
    about = {
        "tokens": [token.decode("latin-1") for token in tokens],
        "etag": answer.etag,
        "headers": answer.headers,
    }
    return orjson.dumps(about) + b"\n" + answer.body


def _decoded(entry: bytes, tokens: Sequence[bytes]) -> Answer | None:
    """The answer in `entry`; None when it is old, or nothing that `_encoded` made."""
    line, _, body = entry.partition(b"\n")
    try:
        about = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(about, dict) or about.get("tokens") != [token.decode("latin-1") for token in tokens]:
        return None
    etag, headers = about.get("etag"), about.get("headers")
    if not isinstance(etag, str) or not isinstance(headers, dict):
        return None
    if not all(isinstance(value, str) for value in headers.values()):
        return None
    return Answer(body, etag, headers)
