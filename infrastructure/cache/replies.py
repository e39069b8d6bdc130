"""Checks of what Redis replied: what does not fit the command is treated as if there were no reply."""

from typing import Any

from infrastructure.cache.gateway import RedisUnavailable


def integers(reply: Any, count: int) -> list[int]:
    """The reply, if it is a list of so many integers. Raises `RedisUnavailable`."""
    if isinstance(reply, list) and len(reply) == count and all(type(item) is int for item in reply):
        return reply
    raise RedisUnavailable("Redis replied with something else than numbers")


def values(reply: Any, count: int) -> list[bytes | None]:
    """The reply, if it is a list of so many values, or None where there is none. Raises `RedisUnavailable`."""
    if isinstance(reply, list) and len(reply) == count and all(item is None or type(item) is bytes for item in reply):
        return reply
    raise RedisUnavailable("Redis replied with something else than values")
