"""How many rows a list has: counted as far as it has to be exact, and not counted again while it must still be long.

To know that a list is longer than `EXACT_COUNT_LIMIT`, PostgreSQL has to visit that many rows, which takes longer
than to read a page. So rows are counted to twice the limit, and a list that is longer than the limit is remembered. For
some seconds PostgreSQL is then only asked how many rows of the table were changed or deleted since: while they are fewer
than those counted beyond the limit, the list is still longer than it. A shorter list is counted each time.
"""

import time
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Engine, bindparam, case, func, literal_column

from schemas.base import EXACT_COUNT_LIMIT

COUNTED_TO = 2 * EXACT_COUNT_LIMIT

# PostgreSQL's processes tell each other of changes a second or more late. So a list is also trusted no longer than it
# would take to lose all its rows beyond the limit at this pace, and never longer than some seconds.
_MOST_ROWS_LOST_PER_SECOND = 1000
_MOST_SECONDS = 10.0
_MOST_SIZES = 1000


class Size(NamedTuple):
    """So many rows match, or about so many."""

    total: int
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class LongList:
    """A list of which more than `EXACT_COUNT_LIMIT` rows were counted when `churn` rows had been changed so far."""

    counted: int
    churn: int
    size: Size
    # By the monotonic clock.
    since: float

    @property
    def spare(self) -> int:
        """How many rows may leave the list before it might have to be counted exactly."""
        return self.counted - EXACT_COUNT_LIMIT - 1

    @property
    def until(self) -> float:
        """When this is too old to be trusted, by the monotonic clock."""
        return self.since + min(self.spare / _MOST_ROWS_LOST_PER_SECOND, _MOST_SECONDS)


Key = Hashable


class LongLists:
    """The long lists that were seen lately, of all databases that this process uses."""

    def __init__(self) -> None:
        self._lists: dict[Key, LongList] = {}

    @staticmethod
    def key(database: Engine, table: str, wanted: Mapping[str, Any]) -> Key:
        """What tells a list from all others: the filters `wanted` of a table."""
        return database, table, frozenset(wanted.items())

    def get(self, key: Key) -> LongList | None:
        """What is known of the list, unless that is too old."""
        found = self._lists.get(key)
        return found if found is not None and found.until > time.monotonic() else None

    def remember(self, key: Key, counted: int, churn: int, estimate: int) -> Size:
        """The size of a list of which `counted` rows were counted, more than `EXACT_COUNT_LIMIT`, and maybe not all."""
        size = Size(max(counted, estimate), estimated=True)
        # The oldest entry goes; threads that do this at the same time make a little more room than they need.
        while len(self._lists) >= _MOST_SIZES:
            self._lists.pop(next(iter(list(self._lists))), None)
        self._lists.pop(key, None)
        self._lists[key] = LongList(counted, churn, size, time.monotonic())
        return size


def told_by(counted: int | None, known: LongList | None) -> Size | None:
    """What a count says, where None is for a list that is still as long as `known`.

    None for one that turned out to be long, which has to be remembered.
    """
    if counted is None and known is not None:
        return known.size
    total = counted or 0
    return Size(total) if total <= EXACT_COUNT_LIMIT else None


def parameters(known: LongList | None) -> dict[str, int]:
    """The values of the parameters that `columns` puts into a statement."""
    return {"churn": -1, "spare": -1} if known is None else {"churn": known.churn, "spare": known.spare}


def columns(table: str, counted: ColumnElement[int]) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    """Two columns: the number `counted`, or NULL where a long list is known to be long still, and the table's churn.

    PostgreSQL does not execute what a CASE does not choose.
    """
    name: ColumnElement[Any] = literal_column(f"'{table}'::regclass")
    churn = func.pg_stat_get_tuples_updated(name) + func.pg_stat_get_tuples_deleted(name)
    changed = churn - bindparam("churn", type_=BigInteger)
    # Figures that were lost in a crash begin at zero again, and then tell nothing.
    still_long = changed.between(0, bindparam("spare", type_=BigInteger))
    return case((still_long, None), else_=counted), churn
