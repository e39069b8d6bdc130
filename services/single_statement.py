"""Writes that are one statement, which the event loop sends itself: see `Executor.single_statement`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from infrastructure.cache.tags import Invalidation
from infrastructure.database.prepared import Parameters, Prepared, Row

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class SingleStatement(Generic[T_co]):
    """A statement that is a whole write, the result that its row means, and the invalidation that follows.

    It returns no row where it did nothing; then the write takes a transaction of several statements. `invalidation` is
    called with the result, or with None when it is unknown whether the statement took effect: then it has all that may
    be old.
    """

    statement: Prepared
    parameters: Parameters
    result: Callable[[Row], T_co]
    invalidation: Callable[[Any], Invalidation]
