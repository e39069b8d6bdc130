"""Statements are built once and reused, because building costs more than running; and only so many are kept."""

from collections.abc import Callable
from functools import partial
from threading import Lock
from typing import Any, ParamSpec, TypeVar

from cachetools import LRUCache, cached
from cachetools.keys import hashkey

P = ParamSpec("P")
S = TypeVar("S")

# What is kept of statements, in bytes, and what the largest takes. Some hundred are needed all the time; the others are
# for whatever combination of filters, columns and order somebody may think of.
_STATEMENTS_BYTES = 16 * 1024 * 1024
_STATEMENT_BYTES = 64 * 1024

_statements: LRUCache[Any, Any] = LRUCache(_STATEMENTS_BYTES // _STATEMENT_BYTES)
_lock = Lock()


def memoized(build: Callable[P, S]) -> Callable[P, S]:
    """Remember what `build` made for different arguments, within a bound that all statements share.

    Threads that ask for the same at once may make it twice.
    """
    return cached(_statements, partial(hashkey, build), _lock)(build)
