"""Cache tags: values in Redis that decide, for every worker at the same time, whether a cached response is still fresh.

Every tag has a random value in Redis. A response is fresh while the values that its tags had before it was loaded are
still there; a write deletes those of the tags that it invalidates. The values are random and no counters, because a
counter begins again after a flush and would make an old response fresh.

A new row would invalidate every list if that were all. So a page may say that rows with keys beyond its own last one
cannot change it: it is full, and in the order of the keys. The last key of the furthest such page is stored behind the
value of the tag of the rows, as its frontier. A new row invalidates those pages only when its key lies before the
frontier, which happens when other transactions have overtaken its own.

A new row would invalidate the number of all rows, too. So the value of the tag of counts has a log behind it, of the
transactions that have added a row since. It is part of the value that readers see: what depends on it is stale, except
for a count, which grows by it (`infrastructure.cache.growing_count`).

In Redis, a value is followed by its frontier, its log, a colon and a seal of all (`infrastructure.cache.seal`). One without
a right seal counts as missing: it is made anew, and what was fresh with it is stale.
"""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from infrastructure.cache.batcher import Batcher, SharedFuture
from infrastructure.cache.gateway import RedisGateway, Script
from infrastructure.cache.replies import values
from infrastructure.cache.seal import SEAL_BYTES, Seal

# The tag of every response.
EVERYTHING = "everything"

# A value outlives the responses that name it; should it not, they are misses.
TAG_VALUE_MILLISECONDS = 24 * 3600 * 1000

# The end of the tags that have a log.
_SIZE = ":size"

# So long is a value; what is stored goes on with its frontier and its log.
TAG_VALUE_BYTES = 24

# So much of a stored response is enough to tell it from every other.
STAMP_BYTES = SEAL_BYTES

# The beginning of scripts that write values, or rely on them. Their first argument is the key of the seal. A note is the
# frontier and the log. Readers see no frontier.
SEALED_TAG_VALUES = f"""
local function sealed(key, value, note)
    local content = value .. note
    return content .. ':' .. string.sub(redis.sha1hex(ARGV[1] .. key .. '\\n' .. content), 1, 16)
end
local function note_of(key, stored)
    if not stored then return nil end
    local value = string.sub(stored, 1, {TAG_VALUE_BYTES})
    local note = string.match(string.sub(stored, {TAG_VALUE_BYTES + 1}), '^(%d[%d,]*):')
    if note and stored == sealed(key, value, note) then return note end
    return nil
end
local function frontier_of(key, stored)
    local note = note_of(key, stored)
    return note and tonumber(string.match(note, '^%d+'))
end
local function seen(stored)
    local log = string.match(string.sub(stored, {TAG_VALUE_BYTES + 1}), '^%d+(,[%d,]*):')
    return string.sub(stored, 1, {TAG_VALUE_BYTES}) .. (log or '')
end
"""

# A replica replies to reads, although it may lack the last invalidations. So scripts that read also remove a key that is
# never there: a primary does nothing, and a replica refuses.
_NEVER_THERE = "none"

# A value of another type is missing to MGET, and to pcall: garbage under a key is an error nowhere. A value is compared with
# one that was right, but there is none to compare a log with: its seal is checked.
_CHECK = Script(f"""{SEALED_TAG_VALUES}
redis.call('UNLINK', KEYS[#KEYS])
local tags = tonumber(ARGV[2])
local found = redis.call('MGET', unpack(KEYS, 1, tags))
for i = 1, tags do
    if string.sub(KEYS[i], -{len(_SIZE)}) == '{_SIZE}' then
        found[i] = note_of(KEYS[i], found[i]) and seen(found[i]) or false
    else
        found[i] = found[i] and string.sub(found[i], 1, {TAG_VALUE_BYTES})
    end
end
for i = tags + 1, #KEYS - 1 do
    local stamp = redis.pcall('GETRANGE', KEYS[i], 0, {STAMP_BYTES - 1})
    found[i] = type(stamp) == 'string' and stamp
end
return found
""")

# Makes the values that are missing.
_READ = Script(f"""{SEALED_TAG_VALUES}
redis.call('UNLINK', KEYS[#KEYS])
local found = redis.call('MGET', unpack(KEYS, 1, #KEYS - 1))
for i = 1, tonumber(ARGV[2]) do
    if not note_of(KEYS[i], found[i]) then
        found[i] = sealed(KEYS[i], ARGV[3], '0')
        redis.call('SET', KEYS[i], found[i], 'PX', {TAG_VALUE_MILLISECONDS})
    end
    found[i] = seen(found[i])
end
return found
""")

CurrentTagValues = Mapping[str, bytes]
TagValues = Mapping[str, bytes | None]


def row_tag(resource: str, row_id: int) -> str:
    """The tag of the response with one row."""
    return f"{resource}:id:{row_id}"


def rows_tag(resource: str) -> str:
    """The tag of lists, which a change or a removal of any row invalidates."""
    return f"{resource}:rows"


def size_tag(resource: str) -> str:
    """The tag of counts, and of lists that a new row can change; a removal invalidates it, and a new row is in its log."""
    return resource + _SIZE


def tag_key(tag: str) -> str:
    """The key, without the prefix of all, of the value of `tag`."""
    return f"tag:{tag}"


class AddedRows(NamedTuple):
    """New rows of a resource: the smallest of their keys, and the transaction that added the row if it is but one."""

    first_key: int
    transaction: str | None = None


@dataclass
class Invalidation:
    """What a transaction invalidates: tags, and for each resource its new rows."""

    tags: set[str] = field(default_factory=set)
    added: dict[str, AddedRows] = field(default_factory=dict)

    def row_added(self, resource: str, row_id: int | None, transaction: str | None = None) -> None:
        """`row_id` is None when it is not known: then it may lie before every frontier."""
        row, earlier = AddedRows(row_id or 0, transaction), self.added.get(resource)
        self.added[resource] = row if earlier is None else AddedRows(min(row.first_key, earlier.first_key))

    def row_changed(self, resource: str, row_id: int) -> None:
        self.tags.update((rows_tag(resource), row_tag(resource, row_id)))

    def row_removed(self, resource: str, row_id: int) -> None:
        self.row_changed(resource, row_id)
        self.tags.add(size_tag(resource))

    def all_tags(self) -> set[str]:
        """Every tag that may be stale, whatever the frontiers are."""
        return self.tags.union(*((rows_tag(resource), size_tag(resource)) for resource in self.added))

    def __bool__(self) -> bool:
        return bool(self.tags or self.added)


class TagLookup:
    """The keys that are looked up in one turn of the event loop: of tags, and of stored responses."""

    __slots__ = ("responses", "tags")

    def __init__(self) -> None:
        self.tags: set[str] = set()
        self.responses: set[str] = set()


class CacheTags:
    """The tags in Redis as one worker reads them."""

    def __init__(self, gateway: RedisGateway, seal: Seal) -> None:
        self._gateway, self._seal = gateway, seal
        self._checks: Batcher[TagLookup, TagValues] = Batcher(TagLookup, self._check)
        self._reads: Batcher[TagLookup, TagValues] = Batcher(TagLookup, self._read)

    def check(self, tags: Iterable[str], response: str | None = None) -> SharedFuture[TagValues]:
        """The values under the keys `tags`, and the stamp of the response under the key `response`, from now on.

        All lookups of one turn of the event loop are one batch, and each gets the result of the whole. It raises
        `RedisUnavailable`.
        """
        return _join(self._checks, tags, response)

    def read(self, tags: Iterable[str], response: str | None = None) -> SharedFuture[TagValues]:
        """The same with the whole stored response; values that are missing are made."""
        return _join(self._reads, tags, response)

    async def _check(self, lookup: TagLookup) -> TagValues:
        return await self._look_up(_CHECK, lookup, self._seal.script_key, len(lookup.tags))

    async def _read(self, lookup: TagLookup) -> TagValues:
        return await self._look_up(_READ, lookup, self._seal.script_key, len(lookup.tags), secrets.token_hex(12))

    async def _look_up(self, script: Script, lookup: TagLookup, *arguments: str | int) -> TagValues:
        keys = [*lookup.tags, *lookup.responses]
        found = await self._gateway.run(script, [*keys, _NEVER_THERE], arguments)
        return dict(zip(keys, values(found, len(keys)), strict=True))


def _join(batches: Batcher[TagLookup, TagValues], tags: Iterable[str], response: str | None) -> SharedFuture[TagValues]:
    lookup, values_to_come = batches.join()
    lookup.tags.update(tags)
    if response is not None:
        lookup.responses.add(response)
    return values_to_come
