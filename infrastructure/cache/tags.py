"""The versions of tags: what decides, for every worker at once, whether an answer is still good.

Every tag has a version in Redis: a random token. An answer is good while the tokens that were current
before it was loaded still are; a write deletes the tokens of the tags that it made old. A token is random,
never a counter, because a counter starts again after a flush and would make an old answer good again.

A new row would make every list old if that were all. So a page may say that rows with keys beyond its own
last one cannot change it: it is full, and in the order of the keys. The last key of the furthest such page is
kept behind the token of the rows, as its frontier. A new row makes those pages old only when its key lies
before the frontier, which happens when other transactions have overtaken its own.

A version is the token, the frontier, a colon and a seal (`infrastructure.cache.seal`) of both. One that does not bear it is no
version: it is made anew, and what was good with it is old.
"""

import asyncio
import logging
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from infrastructure.cache.batcher import Batcher, SharedFuture
from infrastructure.cache.gateway import RedisGateway, RedisUnavailable, Script
from infrastructure.cache.replies import values
from infrastructure.cache.seal import SEAL_BYTES, Seal

log = logging.getLogger("shop.cache")

# The tag that every answer depends on.
EVERYTHING = "everything"

# News beyond so many tags become news of everything.
_MOST_PENDING_TAGS = 1000
_PUBLISH_SECONDS = 0.25
_TAGS_PER_CALL = 1000

# A token outlives the answers that name it; should it not, they are misses.
TAG_VALUE_MILLISECONDS = 24 * 3600 * 1000

# A token is so long; in a stored version, its frontier follows.
TAG_VALUE_BYTES = 24

# So much of a stored answer is enough to know it from every other.
STAMP_BYTES = SEAL_BYTES

# What scripts that write versions, or believe in them, begin with. The first of their arguments is the key of the seal.
SEALED_TAG_VALUES = f"""
local function sealed(key, token, frontier)
    local said = token .. frontier
    return said .. ':' .. string.sub(redis.sha1hex(ARGV[1] .. key .. '\\n' .. said), 1, 16)
end
local function frontier_of(key, version)
    if not version then return nil end
    local token = string.sub(version, 1, {TAG_VALUE_BYTES})
    local frontier = string.match(string.sub(version, {TAG_VALUE_BYTES + 1}), '^(%d+):')
    if frontier and version == sealed(key, token, frontier) then return tonumber(frontier) end
    return nil
end
"""

# A foreign type reads as missing in MGET and by pcall: garbage under a key is no error anywhere.
_CHECK = Script(f"""
local tokens = tonumber(ARGV[1])
local found = redis.call('MGET', unpack(KEYS, 1, tokens))
for i = 1, tokens do
    found[i] = found[i] and string.sub(found[i], 1, {TAG_VALUE_BYTES})
end
for i = tokens + 1, #KEYS do
    local stamp = redis.pcall('GETRANGE', KEYS[i], 0, {STAMP_BYTES - 1})
    found[i] = type(stamp) == 'string' and stamp
end
return found
""")

# Makes the tokens that are missing.
_READ = Script(f"""{SEALED_TAG_VALUES}
local found = redis.call('MGET', unpack(KEYS))
for i = 1, tonumber(ARGV[2]) do
    if not frontier_of(KEYS[i], found[i]) then
        found[i] = sealed(KEYS[i], ARGV[3], '0')
        redis.call('SET', KEYS[i], found[i], 'PX', {TAG_VALUE_MILLISECONDS})
    end
    found[i] = string.sub(found[i], 1, {TAG_VALUE_BYTES})
end
return found
""")

# Deleting works on a server that is out of memory too, where setting new tokens does not.
_PUBLISH = Script(f"""{SEALED_TAG_VALUES}
local tags = #KEYS - #ARGV + 1
for i = 1, tags do redis.call('UNLINK', KEYS[i]) end
for i = 2, #ARGV do
    local key = KEYS[tags + i - 1]
    local frontier = frontier_of(key, redis.call('MGET', key)[1])
    if not frontier or tonumber(ARGV[i]) <= frontier then redis.call('UNLINK', key) end
end
return 1
""")

CurrentTagValues = Mapping[str, bytes]
TagValues = Mapping[str, bytes | None]


def row_tag(resource: str, row_id: int) -> str:
    """What the answer of one row depends on."""
    return f"{resource}:id:{row_id}"


def rows_tag(resource: str) -> str:
    """What lists depend on: it is old after a change or a removal of any row."""
    return f"{resource}:rows"


def size_tag(resource: str) -> str:
    """What counts depend on, and lists that a new row can change: it is old after a new row or a removal."""
    return f"{resource}:size"


def tag_key(tag: str) -> str:
    """Where in Redis the token of `tag` is."""
    return f"version:{tag}"


@dataclass
class Invalidation:
    """What a transaction made old: tags, and for each resource with new rows the smallest of their keys."""

    tags: set[str] = field(default_factory=set)
    added: dict[str, int] = field(default_factory=dict)

    def row_added(self, resource: str, row_id: int | None) -> None:
        """`row_id` is None when nobody knows it: then it may lie before every frontier."""
        row_id = row_id or 0
        self.tags.add(size_tag(resource))
        self.added[resource] = min(row_id, self.added.get(resource, row_id))

    def row_changed(self, resource: str, row_id: int) -> None:
        self.tags.update((rows_tag(resource), row_tag(resource, row_id)))

    def row_removed(self, resource: str, row_id: int) -> None:
        self.row_changed(resource, row_id)
        self.tags.add(size_tag(resource))

    def all_tags(self) -> set[str]:
        """Every tag that may be old, should nobody look at the frontiers."""
        return self.tags | {rows_tag(resource) for resource in self.added}

    def __bool__(self) -> bool:
        return bool(self.tags)


class TagLookup:
    """What a turn of the event loop wants to know: tokens, and stored answers or their stamps."""

    __slots__ = ("answers", "tokens")

    def __init__(self) -> None:
        self.tokens: set[str] = set()
        self.answers: set[str] = set()


class CacheTags:
    """The versions of tags as one worker knows them, and the news that Redis has not heard from it yet."""

    def __init__(self, gateway: RedisGateway, seal: Seal) -> None:
        self._gateway, self._seal = gateway, seal
        self._looking: Batcher[TagLookup, TagValues] = Batcher(TagLookup, self._check)
        self._reading: Batcher[TagLookup, TagValues] = Batcher(TagLookup, self._read)
        self._pending: set[str] = set()
        self._publishing: set[str] = set()
        self._publisher: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Tell what is still untold, if Redis can be reached."""
        if self._publisher is not None:
            self._publisher.cancel()
            await asyncio.gather(self._publisher, return_exceptions=True)
        if self._pending and not await self._publish_pending():
            log.warning("Stopped before Redis could be told of changes in: %s", ", ".join(sorted(self._pending)))

    # -- reading -----------------------------------------------------------------------------------

    def check(self, tokens: Iterable[str], answer: str) -> SharedFuture[TagValues]:
        """The values of the token keys and the stamp of the answer stored under `answer`, as they are from now on.

        All who look in one turn of the event loop are answered together, with everything that any of
        them asked for. The result raises `RedisUnavailable`.
        """
        return _joined(self._looking, tokens, answer)

    def read(self, tokens: Iterable[str], answer: str) -> SharedFuture[TagValues]:
        """The same with the whole of the stored answer; tokens that are missing are made."""
        return _joined(self._reading, tokens, answer)

    async def _check(self, looking: TagLookup) -> TagValues:
        return await self._found(_CHECK, looking, len(looking.tokens))

    async def _read(self, looking: TagLookup) -> TagValues:
        return await self._found(_READ, looking, self._seal.script_key, len(looking.tokens), secrets.token_hex(12))

    async def _found(self, script: Script, looking: TagLookup, *arguments: str | int) -> TagValues:
        keys = [*looking.tokens, *looking.answers]
        return dict(zip(keys, values(await self._gateway.run(script, keys, arguments), len(keys)), strict=True))

    def is_pending(self, tags: Iterable[str]) -> bool:
        """Whether this worker knows of a change in one of `tags` that Redis has not heard of."""
        return not (self._pending.isdisjoint(tags) and self._publishing.isdisjoint(tags))

    # -- telling -----------------------------------------------------------------------------------

    async def publish(self, invalidation: Invalidation) -> None:
        """Make every answer that `invalidation` concern old, for every worker.

        To be awaited after the commit and before the writer is answered. It never fails: news that Redis
        did not hear, or that nobody waited for to the end, are kept and told later.
        """
        if not invalidation or not self._gateway.enabled:
            return
        try:
            await self._send(invalidation)
        except RedisUnavailable as error:
            log.debug("Keeping the news of %s: %s", invalidation, error)
            self._keep(invalidation.all_tags())
        except asyncio.CancelledError:
            self._keep(invalidation.all_tags())
            raise

    async def _send(self, invalidation: Invalidation) -> None:
        tags = [tag_key(tag) for tag in invalidation.tags]
        # In pieces, so that nobody waits long behind the thousands of tags of a bulk change.
        while len(tags) > _TAGS_PER_CALL:
            some, tags = tags[:_TAGS_PER_CALL], tags[_TAGS_PER_CALL:]
            await self._gateway.run(_PUBLISH, some, (self._seal.script_key,))
        frontiers = [tag_key(rows_tag(resource)) for resource in invalidation.added]
        await self._gateway.run(_PUBLISH, [*tags, *frontiers], (self._seal.script_key, *invalidation.added.values()))

    def _keep(self, tags: set[str]) -> None:
        self._pending |= tags
        if len(self._pending) > _MOST_PENDING_TAGS:
            self._pending = {EVERYTHING}
        if self._publisher is None or self._publisher.done():
            self._publisher = asyncio.create_task(self._publish_until_heard())

    async def _publish_until_heard(self) -> None:
        while self._pending:
            await asyncio.sleep(_PUBLISH_SECONDS)
            await self._publish_pending()

    async def _publish_pending(self) -> bool:
        # News that come while these travel are new ones: they must not be forgotten with these.
        self._publishing, self._pending = self._pending, set()
        published = False
        try:
            await self._send(Invalidation(self._publishing))
            published = True
        except RedisUnavailable as error:
            log.debug("Redis does not hear the news yet: %s", error)
        finally:
            if not published:
                self._pending |= self._publishing
            self._publishing = set()
        return published


def _joined(together: Batcher[TagLookup, TagValues], tokens: Iterable[str], answer: str) -> SharedFuture[TagValues]:
    looking, found = together.join()
    looking.tokens.update(tokens)
    looking.answers.add(answer)
    return found
