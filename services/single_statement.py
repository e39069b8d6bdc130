"""Works that are one statement, which the event loop sends itself: see `Executor.single_statement`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from infrastructure.cache.tags import Invalidation
from infrastructure.database.prepared import Parameters, Prepared, Row

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class SingleStatement(Generic[T_co]):
    """One statement that does the whole of a work, what its row says, and what it makes old.

    It has no row where it did nothing; then the work has to be done step by step. `invalidation` is asked with the result, or
    with None when nobody knows whether the statement took effect: then it tells of all that may be old.
    """

    statement: Prepared
    parameters: Parameters
    result: Callable[[Row], T_co]
    invalidation: Callable[[Any], Invalidation]
