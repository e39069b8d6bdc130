"""JSON values in Redis, for people at a prompt. Nothing makes them stale but their time, and whoever deletes them."""

import inspect
from collections.abc import Callable
from typing import Any

import orjson

from infrastructure.cache.gateway import RedisGateway, RedisUnavailable
from infrastructure.cache.keys import build_key
from infrastructure.cache.single_flight import SingleFlight

_SCAN_COUNT = 500


class JsonCache:
    """Values under keys. `default_ttl` is in seconds."""

    def __init__(self, gateway: RedisGateway, default_ttl: float) -> None:
        self._gateway, self._default_ttl = gateway, default_ttl
        self._loads = SingleFlight()

    build_key = staticmethod(build_key)

    async def get(self, key: str) -> Any:
        """The JSON value under `key`; None when there is none, or something that is not JSON."""
        found, value = await self._value(key)
        return value if found else None

    async def set(self, key: str, value: Any, ttl: float | None = None) -> bool:
        """Keep `value`, which must be JSON, for `ttl` seconds. False when Redis is away."""
        try:
            await self._gateway.call("SET", self._gateway.key(key), orjson.dumps(value), "PX", self._milliseconds(ttl))
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
            return int(await self._gateway.call("UNLINK", *map(self._gateway.key, keys)))
        except RedisUnavailable:
            return 0

    async def delete_pattern(self, pattern: str) -> int:
        """Delete the keys that match the glob `pattern`, a few at a time; how many were deleted."""
        deleted, cursor, matching = 0, b"0", self._gateway.key(pattern)
        while True:
            try:
                cursor, keys = await self._gateway.call("SCAN", cursor, "MATCH", matching, "COUNT", _SCAN_COUNT)
                if keys:
                    deleted += await self._gateway.call("UNLINK", *keys)
            except RedisUnavailable:
                return deleted
            if cursor == b"0":
                return deleted

    async def _value(self, key: str) -> tuple[bool, Any]:
        try:
            (stored,) = await self._gateway.call("MGET", self._gateway.key(key))
            return stored is not None, orjson.loads(stored or b"null")
        except (RedisUnavailable, orjson.JSONDecodeError):
            return False, None

    def _milliseconds(self, ttl: float | None) -> int:
        return max(1, int((self._default_ttl if ttl is None else ttl) * 1000))
