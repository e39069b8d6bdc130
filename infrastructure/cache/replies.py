"""What Redis answered, held against what was asked: anything else is as if it had not answered."""

from typing import Any

from infrastructure.cache.gateway import RedisUnavailable


def integers(answer: Any, count: int) -> list[int]:
    """The answer, if it is a list of so many integers. Raises `RedisUnavailable`."""
    if isinstance(answer, list) and len(answer) == count and all(type(item) is int for item in answer):
        return answer
    raise RedisUnavailable("Redis answered with something else than numbers")


def values(answer: Any, count: int) -> list[bytes | None]:
    """The answer, if it is a list of so many values or nothings. Raises `RedisUnavailable`."""
    if (
        isinstance(answer, list)
        and len(answer) == count
        and all(item is None or type(item) is bytes for item in answer)
    ):
        return answer
    raise RedisUnavailable("Redis answered with something else than values")
