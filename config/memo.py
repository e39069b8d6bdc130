"""What one worker remembers, so that it need not be sent or made again: bounded, the least used goes first."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Memo(Generic[K, V]):
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
