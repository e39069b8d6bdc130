"""Rows as JSON, rendered by PostgreSQL: with the fields of a schema, as `schemas.json_codec` writes them.

The SQL joins texts, which costs less than PostgreSQL's functions for JSON do. Only names of columns and constants are put
into it.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Column, Date, DateTime, String

from schemas.base import Read

# What Python has values for; a function of the database writes others, as `infrastructure.database.datetimes` does.
_FIRST, _BEHIND = "'0001-01-01 Z'", "'10000-01-01 Z'"


def json_object(
    model: type[Any],
    schema: type[Read],
    row: str | None = None,
    members: Mapping[str, str] | None = None,
    more: str = "",
) -> str:
    """The SQL of a row as the text of a JSON object.

    The row is called `row`, or as its table. `members` are further ones: the SQL of each, as texts with commas between.
    `more` is the SQL of a text with yet others, each after a comma.
    """
    table = model.__table__
    columns = {name: _json_value(f"{row or table.name}.{name}", table.c[name]) for name in schema.model_fields} | dict(
        members or {}
    )
    parts = [
        f"""'{"{" if place == 0 else ","}"{name}":', {value}""" for place, (name, value) in enumerate(columns.items())
    ]
    return f"concat({', '.join([*parts, *([more] if more else [])])}, '}}')"


def _json_value(column: str, declared: Column[Any]) -> str:
    """The SQL of the value of a column as JSON text."""
    kind = declared.type
    if isinstance(kind, DateTime):
        utc = f"{column} AT TIME ZONE 'UTC'"
        text = f"""replace(to_char({utc}, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), '.000000Z', 'Z')"""
        value = _moment(column, "timestamptz", text, utc)
    elif isinstance(kind, Date):
        value = _moment(column, "date", f"{column}::text", column)
    else:
        value = f"to_json({column})::text" if isinstance(kind, String) else f"{column}::text"
    return f"coalesce({value}, 'null')" if declared.nullable else value


def _moment(column: str, kind: str, near: str, utc: str) -> str:
    """The SQL of a date or time in quotes: `near` within the years that Python knows."""
    is_near = f"{column} >= {kind} {_FIRST} AND {column} < {kind} {_BEHIND}"
    return f"""'"' || CASE WHEN {is_near} THEN {near} ELSE far_moment(({utc})::text) END || '"'"""
