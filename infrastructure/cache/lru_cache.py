"""What one worker remembers, so that it need not be sent or made again: bounded, the least used goes first.

The bounds are in bytes, and what a value weighs is reckoned from above: docs/operations.md has them all.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from functools import lru_cache, wraps
from threading import Lock
from typing import Generic, TypeVar

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


class LruCache(Generic[K, V]):
    """Values by key, with at most `capacity` in all of what each of them weighs."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._weight = 0
        self._held: OrderedDict[K, tuple[V, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._held)

    def get(self, key: K) -> V | None:
        """The value under `key`, which counts as used now."""
        held = self._held.get(key)
        if held is None:
            return None
        self._held.move_to_end(key)
        return held[0]

    def put(self, key: K, value: V, weight: int = 1) -> None:
        """Remember `value`, instead of what was under `key`. What is heavier than the capacity is not remembered."""
        self.forget(key)
        if weight > self._capacity:
            return
        self._held[key] = (value, weight)
        self._weight += weight
        while self._weight > self._capacity:
            _, (_, lighter) = self._held.popitem(last=False)
            self._weight -= lighter

    def forget(self, key: K) -> None:
        """Remember nothing under `key`."""
        held = self._held.pop(key, None)
        if held is not None:
            self._weight -= held[1]


class SharedLruCache(Generic[V]):
    """A memo for many functions, called from many threads. What they make is reckoned at `weight` each."""

    def __init__(self, capacity: int, weight: int) -> None:
        self._weight = weight
        self._made: LruCache[Hashable, tuple[V]] = LruCache(capacity)
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._made)

    def result(self, make: Callable[..., V], arguments: tuple[Hashable, ...], named: Mapping[str, Hashable]) -> V:
        """What `make` makes of these arguments. Threads that ask at once may make it twice."""
        key = (make, arguments, *named.items())
        with self._lock:
            made = self._made.get(key)
        if made is None:
            made = (make(*arguments, **named),)
            with self._lock:
                self._made.put(key, made, self._weight)
        return made[0]
