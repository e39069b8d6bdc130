"""Audit trail: the SQL that writes its entries, in the transaction of the change that they are about.

New rows and their entries are one statement. Entries about changed and removed rows take one statement for all rows of
the change. Within a savepoint, they go with what they are about.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    ColumnElement,
    FromClause,
    Insert,
    Text,
    bindparam,
    column,
    func,
    insert,
    literal_column,
    select,
)
from sqlalchemy import cast as sql_cast
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from models import AuditEntry
from models.audited_fields import audited_fields
from repositories.author import AUTHOR_PARAMETERS, author_of
from repositories.query.portions import portions
from repositories.query.statement_cache import memoized

Changes = Mapping[str, tuple[Any, Any]]

_ENTRIES: Any = AuditEntry.__table__
# The columns that say who has written what an entry is about.
_BY = ("actor", "action", "request_id", "address")


def record(session: Session, resource: str, changes: Iterable[tuple[int | None, Changes]]) -> None:
    """Write an entry for each row, given its key and its changes: field -> (old, new)."""
    author = author_of(session)
    if not author.is_audited:
        return
    rows = ({"resource_id": row_id, "changes": of_row} for row_id, of_row in changes)
    for some in portions(rows):
        session.execute(_entries_statement(), {**author.parameters(), "resource": resource, "rows": some})


def entries_of_new(model: type[Any], added: FromClause) -> Insert:
    """The statement that writes an entry for each of the new rows `added`, which has all columns of the model."""
    name = model.__tablename__
    resource: ColumnElement[Any] = literal_column(f"'{name}'")
    changes: ColumnElement[Any] = literal_column(values_of_new(model, added.name), JSONB)  # type: ignore[attr-defined]
    return _insertion(resource, added.c.id_key, changes)


def values_of_new(model: type[Any], row: str) -> str:
    """The SQL of the changes that a new row of the model is: field -> [null, value], without those that are null."""
    values = ", ".join(f"'{name}', {row}.{name}" for name in audited_fields(model))
    pairs = "coalesce(jsonb_object_agg(key, jsonb_build_array(NULL, value)), '{}')"
    return f"(SELECT {pairs} FROM jsonb_each(jsonb_strip_nulls(jsonb_build_object({values}))))"  # noqa: S608


@memoized
def _entries_statement() -> Insert:
    rows = func.json_to_recordset(sql_cast(bindparam("rows", type_=Text), JSON))
    given = rows.table_valued(column("resource_id", BigInteger), column("changes", JSONB)).render_derived(
        with_types=True
    )
    return _insertion(sql_cast(bindparam("resource"), Text), given.c.resource_id, given.c.changes)


def _insertion(resource: ColumnElement[Any], row_id: ColumnElement[Any], changes: ColumnElement[Any]) -> Insert:
    author = [sql_cast(bindparam(AUTHOR_PARAMETERS[name]), Text) for name in _BY]
    names = [*_BY, "resource", "resource_id", "changes"]
    return insert(_ENTRIES).from_select(names, select(*author, resource, row_id, changes))
