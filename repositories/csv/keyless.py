"""Stored rows without a natural key, by which a file could name them."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, Table, any_, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session


def newest_key(session: Session, table: Table) -> int:
    """The largest key of the table; 0 if it is empty."""
    newest: int = session.scalars(select(func.coalesce(func.max(table.c.id_key), 0))).one()
    return newest


def keyless_rows(
    session: Session, key: ColumnElement[Any], label: ColumnElement[Any], labels: Sequence[str], columns: Sequence[Any]
) -> Iterator[Row[Any]]:
    """`columns` of the rows without a natural `key` whose `label` is one of `labels`, in the order of the first column."""
    wanted = any_(bindparam("labels", labels, ARRAY(label.type)))
    yield from session.execute(select(*columns).where(key.is_(None), label == wanted).order_by(columns[0]))
