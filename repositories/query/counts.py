"""How many rows a list has: counted as far as it has to be exact, and not counted again while it cannot have changed.

To count, PostgreSQL has to visit every row that matches, and ten thousand of them take longer than a page. So a count is
kept for some seconds, and the next statement asks PostgreSQL whether it can have changed. Two things prove that it cannot:

- No transaction has ended since, in other words PostgreSQL's snapshot is the same. Then every list is as long as it was.
- The list was longer than `EXACT_COUNT_LIMIT`, and fewer rows of the table were changed or deleted since than it was too
  long by. Then it is longer than the limit still, and how much longer need not be known. For that rows are counted to
  twice the limit.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from threading import Lock
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Engine, Text, bindparam, case, func, literal_column, or_, select

from infrastructure.cache.lru_cache import LruCache
from schemas.base import EXACT_COUNT_LIMIT

COUNTED_TO = 2 * EXACT_COUNT_LIMIT

# PostgreSQL's figures on changes are a second or more late. So a count is also trusted no longer than the list
# would take to lose all its rows beyond the limit at this pace, and never longer than some seconds.
_MOST_ROWS_LOST_PER_SECOND = 1000
_MOST_SECONDS = 10.0
# The bound of the kept counts in bytes, and what one list takes beside the texts of its filters.
_SIZES_BYTES, _SIZE_BYTES = 2 * 1024 * 1024, 1500
# A filter by more values than these is known by a digest of them.
_MOST_VALUES_KEPT = 8
# To count fewer rows than this takes no longer than to keep the count.
_FEWEST_KEPT = 1000


class Size(NamedTuple):
    """How many rows match, exactly or by an estimate."""

    total: int
    estimated: bool = False


class SizeAt(NamedTuple):
    """A size, and PostgreSQL's snapshot that it was counted in: `xmin:xmax:those under way`; None where it is no exact count."""

    size: Size
    snapshot: str | None


class Count(NamedTuple):
    """The values of the columns that `columns` adds to a statement."""

    # None where a list whose count is kept has not changed.
    rows: int | None
    churn: int = 0
    snapshot: str | None = None


@dataclass(frozen=True, slots=True)
class CountedList:
    """The count of a list that is kept, and the size by it."""

    count: Count
    size: Size
    # By the monotonic clock.
    since: float

    @property
    def spare(self) -> int:
        """How many rows may leave the list before it has to be counted exactly; negative if it was."""
        return max((self.count.rows or 0) - EXACT_COUNT_LIMIT - 1, -1)

    @property
    def until(self) -> float:
        """When the count is too old to be trusted, by the monotonic clock."""
        lasts = self.spare / _MOST_ROWS_LOST_PER_SECOND if self.size.estimated else _MOST_SECONDS
        return self.since + min(lasts, _MOST_SECONDS)


# A database, the name of a table, and the filters with their values.
Key = tuple[Engine, str, frozenset[tuple[str, Any]]]


class CountedLists:
    """LRU cache of the counts of long lists, of all databases that this process uses: up to `capacity` bytes."""

    def __init__(self, capacity: int = _SIZES_BYTES) -> None:
        self._lists: LruCache[Key, CountedList] = LruCache(capacity)
        # Any thread may count a list.
        self._lock = Lock()

    @staticmethod
    def key(database: Engine, table: str, wanted: Mapping[str, Any]) -> Key:
        """The key of the list of a table with the filters `wanted`."""
        return database, table, frozenset((name, _short(value)) for name, value in wanted.items())

    def get(self, key: Key) -> CountedList | None:
        """The kept count of the list, unless it is too old."""
        with self._lock:
            found = self._lists.get(key)
        return found if found is not None and found.until > time.monotonic() else None

    def size(self, key: Key, count: Count, known: CountedList | None) -> Size | None:
        """The size by the `count` of a statement, whose parameters were those of the kept count `known`.

        None for a list that turned out to be long: the caller has to estimate it and to `keep` the estimate.
        """
        if count.rows is None and known is not None:
            return known.size
        total = count.rows or 0
        if total > EXACT_COUNT_LIMIT:
            return None
        return self.keep(key, count, Size(total)) if total >= _FEWEST_KEPT else Size(total)

    def keep(self, key: Key, count: Count, size: Size) -> Size:
        """Keep the size of a list for a while. Returns it."""
        with self._lock:
            self._lists.put(key, CountedList(count, size, time.monotonic()), _weight(key))
        return size


def _short(value: Any) -> Any:
    """The value of a filter, or a digest of very many values, so that a key takes little memory."""
    if isinstance(value, tuple) and len(value) > _MOST_VALUES_KEPT:
        return sha256(repr(value).encode()).digest()
    return value


def _weight(key: Key) -> int:
    # Any character may take four bytes.
    return _SIZE_BYTES + sum(4 * len(value) for _, value in key[2] if isinstance(value, str | tuple))


def parameters(known: CountedList | None) -> dict[str, Any]:
    """The values of the parameters that `columns` puts into a statement."""
    if known is None:
        return {"churn": -1, "spare": -1, "snapshot": None}
    return {"churn": known.count.churn, "spare": known.spare, "snapshot": known.count.snapshot}


def columns(table: str, counted: ColumnElement[int]) -> tuple[ColumnElement[Any], ...]:
    """The columns of a `Count`: the number `counted`, or NULL where the kept count still holds; churn; snapshot.

    PostgreSQL does not execute what a CASE does not choose.
    """
    name: ColumnElement[Any] = literal_column(f"'{table}'::regclass")
    # In subqueries, which are executed once and not for every row.
    churn = select(func.pg_stat_get_tuples_updated(name) + func.pg_stat_get_tuples_deleted(name)).scalar_subquery()
    # With the start of the server, because one that takes over after a failure may repeat the numbers. A transaction that
    # has written sees more than its snapshot says.
    snapshot: ColumnElement[str] = literal_column(
        "concat(pg_current_snapshot(), ' ', pg_postmaster_start_time())", Text
    )
    only_reads = func.pg_current_xact_id_if_assigned().is_(None)
    now = select(case((only_reads, snapshot))).scalar_subquery()
    # After a crash the figures begin at zero again; then they prove nothing.
    still_long = (churn - bindparam("churn", type_=BigInteger)).between(0, bindparam("spare", type_=BigInteger))
    unchanged = now == bindparam("snapshot", type_=Text)
    return case((or_(still_long, unchanged), None), else_=counted), churn, now
