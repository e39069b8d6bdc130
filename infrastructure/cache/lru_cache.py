"""LRU cache: what one worker remembers, so that it need not be sent or made again: bounded, the least used goes first.

The bounds are in bytes, and what a value weighs is reckoned from above: docs/operations.md has them all.
"""

from collections.abc import Callable, Hashable
from functools import lru_cache, wraps
from operator import itemgetter
from typing import TypeVar

import cachetools

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
T = TypeVar("T", str, bytes)


def lru_cached_of_short(function: Callable[[T], V], *, longest: int, number: int) -> Callable[[T], V]:
    """`function`, which remembers what it made of `number` texts. Of those longer than `longest` it remembers nothing."""
    remembered = lru_cache(maxsize=number)(function)

    @wraps(function)
    def made(text: T) -> V:
        return remembered(text) if len(text) <= longest else function(text)

    return made


class LruCache(cachetools.LRUCache[K, tuple[V | None, int]]):
    """Values by key, with at most `capacity` in all of what each of them weighs. Threads need a lock around it."""

    def __init__(self, capacity: int) -> None:
        super().__init__(capacity, getsizeof=itemgetter(1))

    def __missing__(self, key: K) -> tuple[V | None, int]:
        return None, 0

    def get(self, key: K) -> V | None:  # type: ignore[override]  # None is the only default
        """The value under `key`, which counts as used now."""
        # What is there is found in half the time of the library's own `get`: nearly all look-ups find something.
        return self[key][0]

    def put(self, key: K, value: V, weight: int = 1) -> None:
        """Remember `value`, instead of what was under `key`. What is heavier than the capacity is not remembered."""
        if weight <= self.maxsize:
            self[key] = (value, weight)
        else:
            self.forget(key)

    def forget(self, key: K) -> None:
        """Remember nothing under `key`."""
        self.pop(key, None)
