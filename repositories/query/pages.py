"""The end of every statement that reads a list: the page is cut out of the rows, or of the keys that were found."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, CompoundSelect, FromClause, Select, bindparam, select, union_all
from sqlalchemy import cast as sql_cast

from repositories.query.list_shape import ListedTable, ListShape

# With the cast, because a GiST index compares keys with nothing but numbers of 64 bits.
AFTER = sql_cast(bindparam("after"), BigInteger)

# The number of rows up to the end of the page: those that it shows and those that it passes over.
REACH = bindparam("reach", type_=BigInteger)


def columns_of(model: type[Any], fields: Sequence[str]) -> list[Any]:
    """The columns that the page shows."""
    return [getattr(model, name) for name in fields]


def limited(statement: Select[Any], shape: ListShape) -> Select[Any]:
    """The rows of the page alone."""
    statement = statement.limit(bindparam("limit"))
    return statement if shape.by_key else statement.offset(bindparam("skip"))


def together(parts: Sequence[Select[Any]]) -> Select[Any] | CompoundSelect[Any]:
    """The rows of all parts."""
    return parts[0] if len(parts) == 1 else union_all(*parts)


def cut_out(
    listed: type[ListedTable],
    shape: ListShape,
    found: FromClause,
    size: Sequence[ColumnElement[Any]],
    *,
    ascending: bool = False,
) -> Select[Any]:
    """The rows of a page of the keys `found`: the largest `value` first, or the smallest, and then in the order of the keys.

    The page is cut out before its rows are read: with many matches, PostgreSQL would read the whole table instead.
    """
    page = limited(select(found).order_by(*_order_of_found(found, ascending)), shape).cte("page")
    statement = select(*columns_of(listed.model, shape.fields), *size).join_from(
        page, listed.model, listed.model.id_key == page.c.id_key
    )
    return statement.order_by(*_order_of_found(page, ascending))


def _order_of_found(found: FromClause, ascending: bool) -> list[ColumnElement[Any]]:
    """Keys without a value stand in their own order."""
    values = [column for name, column in found.c.items() if name == "value"]
    return [*(column.asc() if ascending else column.desc() for column in values), found.c.id_key]
