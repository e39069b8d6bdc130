"""Whole tables on their way out of PostgreSQL by COPY."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy import Column, ColumnElement, Select, Table, Text, cast, func, select
from sqlalchemy.orm import Session


class Sink(Protocol):
    """The target of the file. Each call of `write` has one row; the first one has the header."""

    def write(self, row: bytes) -> object: ...


def count(session: Session, table: Table) -> int:
    """How many rows the table has."""
    return session.scalars(select(func.count()).select_from(table)).one()


def copy_out(
    session: Session, table: Table, fields: Sequence[str], named: Mapping[str, Column[Any]], sink: Sink
) -> None:
    """Write the table as CSV, in the order of its keys; what a column of `named` points to is written in its place.

    `named` are unique columns of other tables by the names of their columns here, which end in `_id`. Nothing is held
    in memory.
    """
    driver = session.connection().connection.driver_connection
    assert driver is not None
    query = _query(table, fields, named).compile(session.connection(), compile_kwargs={"literal_binds": True})
    with driver.cursor() as cursor:
        cursor.copy_expert(f"COPY ({query}) TO STDOUT WITH (FORMAT CSV, HEADER, ENCODING 'UTF8')", sink)


def _query(table: Table, fields: Sequence[str], named: Mapping[str, Column[Any]]) -> Select[Any]:
    columns: list[ColumnElement[Any]] = []
    source: Any = table
    for field in fields:
        name, value = field, table.c[field]
        if field in named:
            name, value = field.removesuffix("_id"), named[field]
            source = source.outerjoin(value.table, table.c[field] == value.table.c.id_key)
        # NULL and the empty text are one and the same in a file: an empty cell.
        columns.append(func.nullif(cast(value, Text), "").label(name))
    return select(*columns).select_from(source).order_by(table.c.id_key)
