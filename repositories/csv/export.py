"""Whole tables on their way out of PostgreSQL by COPY.

A spreadsheet runs a cell that begins with a sign such as `=`, and takes an apostrophe before it for "this is text". A guard
is such an apostrophe. It is put before the signs if the file is for spreadsheets, and before apostrophes with a sign behind
them always, so that who takes one away (`services.csv.guards`) has the stored text again.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy import (
    Column,
    ColumnElement,
    DateTime,
    Select,
    String,
    Table,
    Text,
    and_,
    case,
    cast,
    func,
    literal,
    select,
)
from sqlalchemy.orm import Session

# Also the wide forms, which spreadsheets of East Asia take for the others.
_SIGNS = "=+@\t\r\n\uff1d\uff0b\uff20\uff0d-"
# A text before which there may be a guard, for PostgreSQL and Python alike.
GUARDED = f"^'*[{_SIGNS}]"


class Sink(Protocol):
    """The target of the file. Each call of `write` has one row; the first one has the header."""

    def write(self, row: bytes) -> object: ...


def count(session: Session, table: Table) -> int:
    """How many rows the table has."""
    return session.scalars(select(func.count()).select_from(table)).one()


def copy_out(
    session: Session,
    table: Table,
    fields: Sequence[str],
    named: Mapping[str, Column[Any]],
    sink: Sink,
    *,
    for_spreadsheets: bool = False,
) -> None:
    """Write the table as CSV, in the order of its keys; what a column of `named` points to is written in its place.

    `named` are unique columns of other tables by the names of their columns here, which end in `_id`. Nothing is held
    in memory.
    """
    driver = session.connection().connection.driver_connection
    assert driver is not None
    query = _query(table, fields, named, _SIGNS if for_spreadsheets else "").compile(
        session.connection(), compile_kwargs={"literal_binds": True}
    )
    with driver.cursor() as cursor:
        cursor.copy_expert(f"COPY ({query}) TO STDOUT WITH (FORMAT CSV, HEADER, ENCODING 'UTF8')", sink)


def _query(table: Table, fields: Sequence[str], named: Mapping[str, Column[Any]], signs: str) -> Select[Any]:
    columns: list[ColumnElement[Any]] = []
    source: Any = table
    for field in fields:
        name, value = field, table.c[field]
        if field in named:
            name, value = field.removesuffix("_id"), named[field]
            source = source.outerjoin(value.table, table.c[field] == value.table.c.id_key)
        columns.append(_cell(value, signs).label(name))
    return select(*columns).select_from(source).order_by(table.c.id_key)


def _cell(column: Column[Any], signs: str) -> ColumnElement[Any]:
    """The text of a column. `signs` are those before which a guard is put beside the apostrophe."""
    if isinstance(column.type, DateTime):
        return func.to_char(func.timezone("UTC", column), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
    # NULL and the empty text are one and the same in a file: an empty cell.
    text = func.nullif(cast(column, Text), "")
    if not isinstance(column.type, String):
        return text
    # The first sign is looked at before the pattern, which costs more.
    is_meant = and_(func.strpos(f"'{signs}", func.left(text, 1)) > 0, text.op("~")(GUARDED))
    return case((is_meant, literal("'") + text), else_=text)
