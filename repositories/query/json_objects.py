"""Rows as JSON, rendered by PostgreSQL: with the fields of a schema, as `schemas.json_codec` writes them.

The SQL joins texts, which costs less than PostgreSQL's functions for JSON do. Only names of columns and constants are put
into it.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from sqlalchemy import Column, Date, DateTime, String

# What Python has values for; a function of the database writes others, as `infrastructure.database.datetimes` does.
_FIRST, _BEHIND = "'0001-01-01 Z'", "'10000-01-01 Z'"


def json_object(
    model: type[Any],
    schema: type[BaseModel],
    row: str | None = None,
    members: Mapping[str, str] | None = None,
    more: str = "",
    *,
    is_near: bool = False,
) -> str:
    """The SQL of a row as the text of a JSON object.

    The row is called `row`, or as its table. `members` are further ones: the SQL of each, as texts with commas between.
    `more` is the SQL of a text with yet others, each after a comma. `is_near` says that its dates and times are of the
    years 1 to 9999, where nobody has to look.
    """
    table = model.__table__
    columns = {
        name: _json_value(f"{row or table.name}.{name}", table.c[name], is_near) for name in schema.model_fields
    } | dict(members or {})
    parts = [
        f"""'{"{" if place == 0 else ","}"{name}":', {value}""" for place, (name, value) in enumerate(columns.items())
    ]
    return f"concat({', '.join([*parts, *([more] if more else [])])}, '}}')"


def _json_value(column: str, declared: Column[Any], is_near: bool) -> str:
    """The SQL of the value of a column as JSON text."""
    kind = declared.type
    if isinstance(kind, DateTime):
        utc = f"{column} AT TIME ZONE 'UTC'"
        near = f"""replace(to_char({utc}, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), '.000000Z', 'Z')"""
        value = _quoted(near if is_near else _any_moment(column, "timestamptz", near, utc))
    elif isinstance(kind, Date):
        near = f"{column}::text"
        value = _quoted(near if is_near else _any_moment(column, "date", near, column))
    else:
        value = f"to_json({column})::text" if isinstance(kind, String) else f"{column}::text"
    return f"coalesce({value}, 'null')" if declared.nullable else value


def _any_moment(column: str, kind: str, near: str, utc: str) -> str:
    """The SQL of a date or time: `near` within the years that Python knows."""
    is_near = f"{column} >= {kind} {_FIRST} AND {column} < {kind} {_BEHIND}"
    return f"CASE WHEN {is_near} THEN {near} ELSE far_moment(({utc})::text) END"


def _quoted(text: str) -> str:
    return f"""'"' || {text} || '"'"""
