"""Conditions that several repositories filter their lists by."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, bindparam, func

from schemas.base import IN_SUFFIX


def by_value(**columns: Any) -> Mapping[str, ColumnElement[bool]]:
    """The filters by one value of each column, and the filters by several values.

    Several values are one parameter, an array: however many there are, the statement is the same. One value has a
    condition of its own, because an index on the column then gives the rows in the order of their keys.
    """
    one = {name: column == bindparam(name) for name, column in columns.items()}
    return one | {
        f"{name}{IN_SUFFIX}": column == func.any(bindparam(f"{name}{IN_SUFFIX}", type_=ARRAY(column.type)))
        for name, column in columns.items()
    }
