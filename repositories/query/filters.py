"""Conditions that several repositories filter their rows by."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ARRAY, BigInteger, ColumnElement, Text, bindparam, func

from schemas.base import IN_SUFFIX

# The names of two filters that no client can ask for: the rows of one client, and those that everybody may see.
OWNER, PUBLIC = "owner", "public"
# The key of the client whose rows are meant.
OWNER_KEY = bindparam(OWNER, type_=BigInteger)

# Which rows somebody sees: the filters that a row must fulfil, with their values. It may be part of a cache key.
Visible = Mapping[str, int | bool]
EVERY_ROW: Visible = {}


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


def form_of(column: Any) -> ColumnElement[str]:
    """The form in which all writings of the column's text are equal (see `models.text_key`)."""
    return func.text_key(column, type_=Text)


def same(column: Any, parameter: str) -> ColumnElement[bool]:
    """The condition that `column` is the text of the parameter, in whatever writing."""
    return form_of(column) == form_of(bindparam(parameter))
