"""Merge: the keys of a list from an index with columns of few values before the key.

An index of category, "in stock", "active" and key serves filters by all of them, and those by some. With values for all
of its columns, the keys stand in their order. Where a filter leaves a column open, the index is walked once for each of
the few values of that column, and the walks are merged. So two filters take one walk even if no row fulfils both, where an
index for each of them would be walked to its end in vain; and one index does for several columns.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from sqlalchemy import BinaryExpression, BindParameter, ColumnElement, Select, literal_column, tuple_
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import True_

from models.base import few_values, list_indexes
from repositories.query.filters import PUBLIC
from repositories.query.list_shape import ListedTable
from repositories.query.pages import AFTER

_KEY = "id_key"


@dataclass(frozen=True, slots=True)
class ListIndex:
    """The index by which a list is found: its columns before the key, and the values of those that filters decide.

    `filters` are these filters. Rows with other values are not in its walks.
    """

    columns: tuple[str, ...]
    values: Mapping[str, ColumnElement[Any]]
    filters: frozenset[str] = frozenset()

    def with_value(self, column: str, value: ColumnElement[Any]) -> "ListIndex":
        """The index with the value for one more column."""
        return replace(self, values={**self.values, column: value})

    def further_conditions(self, listed: type[ListedTable], filters: Sequence[str]) -> list[ColumnElement[bool]]:
        """The conditions of the filters that the walks of the index do not decide."""
        return [listed.filters[name] for name in filters if name not in self.filters]


def index_for(listed: type[ListedTable], filters: Sequence[str], sorted_by: str = _KEY) -> ListIndex | None:
    """The index with columns of few values for a list in the order of its keys, or of a column of few values.

    None, if the list is found by another way.
    """
    decided = _decided(listed, filters)
    asked = {column for column, (name, _) in decided.items() if name != PUBLIC}
    few = few_values(listed.model.__table__)
    if _KEY in decided or not (asked or sorted_by in few):
        return None
    fitting = [
        columns
        for columns in list_indexes(listed.model.__table__)
        if {*decided, *few}.issuperset(columns)
        and not few.keys().isdisjoint(columns)
        and not (asked and asked.isdisjoint(columns))
        and sorted_by in (_KEY, *columns)
    ]
    if not fitting:
        return None
    # The index with most of the decided columns, first of those with many values, which leave fewest rows; and of such
    # indexes the one that leaves fewest columns open.
    columns = max(fitting, key=lambda columns: _fitness({*columns} & decided.keys(), few, columns))
    used = {column: decided[column] for column in columns if column in decided}
    values = {column: value for column, (_, value) in used.items()}
    return ListIndex(columns, values, frozenset(name for name, _ in used.values()))


def _fitness(decided: set[str], few: Mapping[str, Any], columns: tuple[str, ...]) -> tuple[int, int, int]:
    return len(decided - few.keys()), len(decided), -len(columns)


def index_led_by(listed: type[ListedTable], column: str) -> ListIndex | None:
    """The index that has `column` before columns of few values, and the fewest of these."""
    found = (columns for columns in list_indexes(listed.model.__table__) if columns[0] == column and len(columns) > 1)
    columns = min(found, key=len, default=None)
    return None if columns is None else ListIndex(columns, {})


def walks(
    listed: type[ListedTable], keys: Select[Any], index: ListIndex, *, descends: bool = False, by_key: bool = False
) -> Iterator[tuple[Mapping[str, ColumnElement[Any]], Select[Any]]]:
    """The rows of `keys` in the order of theirs, by one walk for each combination of values, which come with it.

    The last of the few values has two bounds, which are the same. If it were equal for PostgreSQL, it would know that the
    primary key has the same order, and walk that where it expects many rows: all rows, if there are none.
    """
    table = listed.model.__table__
    few = few_values(table)
    compared = [name for name in index.columns if name in few]
    *leading, last = compared
    keys = keys.where(*(table.c[name] == index.values[name] for name in index.columns if name not in few))
    order = [table.c[name].desc() if descends else table.c[name].asc() for name in (*index.columns, _KEY)]
    open_columns = [name for name in compared if name not in index.values]
    for combination in product(*(few[name] for name in open_columns)):
        values = {**index.values, **dict(zip(open_columns, map(constant, combination), strict=True))}
        column, bound = table.c[last], values[last]
        # Of two conditions for the beginning of a walk, PostgreSQL might begin by the wider one.
        begin = tuple_(column, table.c[_KEY]) > tuple_(bound, AFTER) if by_key else column >= bound
        rows = keys.where(*(table.c[name] == values[name] for name in leading), begin, column <= bound)
        yield values, rows.order_by(*order)


def constant(value: bool | int | str) -> ColumnElement[Any]:
    """The value of an enumeration, in the text of a statement."""
    if isinstance(value, str):
        return literal_column(f"'{value}'")
    return literal_column(str(value).lower() if isinstance(value, bool) else f"{value:d}")


def _decided(listed: type[ListedTable], filters: Sequence[str]) -> dict[str, tuple[str, ColumnElement[Any]]]:
    """The columns for which a filter has one value, with this filter and the value."""
    conditions = ((name, listed.filters[name]) for name in filters)
    return {
        str(condition.left.key): (name, constant(True) if isinstance(condition.right, True_) else condition.right)
        for name, condition in conditions
        if isinstance(condition, BinaryExpression)
        and condition.operator in (operators.eq, operators.is_)
        and isinstance(condition.right, BindParameter | True_)
        and getattr(condition.left, "table", None) is listed.model.__table__
    }
