"""Loads into empty tables: their indexes and foreign keys are dropped, and created again when all rows are stored.

To enter a row into ten indexes and to look up two foreign keys costs many times as much as to store it; to build an
index of many rows costs a fraction of that. The price is that nobody else can use the tables until the transaction
ends, so it is done only with empty tables. All of it belongs to that transaction: however it ends, the tables have
their indexes and foreign keys. Unique indexes stay all the time.
"""

from collections.abc import Sequence

from sqlalchemy import Table, exists, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from infrastructure.database.sqlstate import LOCK_TIMEOUT, sqlstate

_BUILD_MEMORY = "256MB"
_LOCK_WAIT = "2s"

_INDEXES = text("""
    SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS definition
    FROM pg_index WHERE indrelid = ANY (CAST(:tables AS regclass[])) AND NOT indisunique ORDER BY indexrelid
""")
# Foreign keys, and primary keys that no foreign key points to: the database assigns their values, all different.
_KEYS = text("""
    SELECT conrelid::regclass::text AS table, quote_ident(conname) AS name, pg_get_constraintdef(oid) AS definition
    FROM pg_constraint AS kept WHERE conrelid = ANY (CAST(:tables AS regclass[])) AND (contype = 'f' OR (
        contype = 'p' AND NOT EXISTS (SELECT FROM pg_constraint WHERE contype = 'f' AND confrelid = kept.conrelid)
    )) ORDER BY oid
""")


def set_aside(session: Session, tables: Sequence[Table]) -> list[str]:
    """Drop indexes and foreign keys of the tables, if all tables are empty; the statements that create them again.

    A table stands behind those that it points to. The list is empty where a table has rows, or cannot be locked within
    two seconds: then nothing was dropped.
    """
    if not _lock_empty(session, tables):
        return []
    names = {"tables": [table.name for table in tables]}
    indexes, keys = session.execute(_INDEXES, names).all(), session.execute(_KEYS, names).all()
    _run(session, *(f"ALTER TABLE {key.table} DROP CONSTRAINT {key.name}" for key in keys))
    _run(session, *(f"DROP INDEX {index.name}" for index in indexes))
    anew = [f"ALTER TABLE {key.table} ADD CONSTRAINT {key.name} {key.definition}" for key in keys]
    return [f"SET LOCAL maintenance_work_mem = '{_BUILD_MEMORY}'", *(index.definition for index in indexes), *anew]


def make_anew(session: Session, statements: Sequence[str]) -> None:
    """Run the statements that `set_aside` returned."""
    _run(session, *statements)


def _lock_empty(session: Session, tables: Sequence[Table]) -> bool:
    """Whether the tables are empty and locked, with those that they point to; not while other transactions use them."""
    if not _are_empty(session, tables):
        return False
    referenced = {key.column.table.name for table in tables for key in table.foreign_keys}
    names = [table.name for table in tables]
    # Tables that are pointed to come first, in the order of all locks.
    locked = ", ".join([*sorted(referenced - set(names)), *names])
    savepoint = session.begin_nested()
    try:
        _run(session, f"SET LOCAL lock_timeout = '{_LOCK_WAIT}'", f"LOCK TABLE {locked} IN ACCESS EXCLUSIVE MODE")
        # Rows may have been added during the wait for the lock.
        empty = _are_empty(session, tables)
    except OperationalError as error:
        if sqlstate(error) != LOCK_TIMEOUT:
            raise
        empty = False
    if not empty:
        savepoint.rollback()
        return False
    savepoint.commit()
    _run(session, "SET LOCAL lock_timeout = 0")
    return True


def _are_empty(session: Session, tables: Sequence[Table]) -> bool:
    return not any(session.scalar(select(exists(select(table.c.id_key)))) for table in tables)


def _run(session: Session, *statements: str) -> None:
    for statement in statements:
        session.connection().exec_driver_sql(statement)
