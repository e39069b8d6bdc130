"""Statements are built once and reused, because building costs more than running; and only so many are kept."""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

from infrastructure.cache.lru_cache import SharedLruCache

P = ParamSpec("P")
S = TypeVar("S")

# What is kept of statements, in bytes, and what the largest takes. Some hundred are needed all the time; the others are
# for whatever combination of filters, columns and order somebody may think of.
_STATEMENTS_BYTES = 16 * 1024 * 1024
_STATEMENT_BYTES = 64 * 1024

_built: SharedLruCache[Any] = SharedLruCache(_STATEMENTS_BYTES, _STATEMENT_BYTES)


def memoized(build: Callable[P, S]) -> Callable[P, S]:
    """Remember what `build` made for different arguments, within a bound that all statements share."""

    @wraps(build)
    def result(*arguments: P.args, **named: P.kwargs) -> S:
        return cast(S, _built.result(build, arguments, named))

    return result
