"""LRU cache of built statements: to build a statement costs more than to run it."""

from collections.abc import Callable
from functools import partial
from threading import Lock
from typing import Any, ParamSpec, TypeVar

from cachetools import LRUCache, cached
from cachetools.keys import hashkey

P = ParamSpec("P")
S = TypeVar("S")

# The bound of the cache in bytes, and what the largest statement takes. Some hundred are in use all the time; the others
# are for rare combinations of filters, columns and order.
_STATEMENTS_BYTES = 16 * 1024 * 1024
_STATEMENT_BYTES = 64 * 1024

_statements: LRUCache[Any, Any] = LRUCache(_STATEMENTS_BYTES // _STATEMENT_BYTES)
_lock = Lock()


def memoized(build: Callable[P, S]) -> Callable[P, S]:
    """Cache what `build` returns for its arguments, within a bound that all statements share.

    Two threads may build the same statement at the same time.
    """
    return cached(_statements, partial(hashkey, build), _lock)(build)
