"""Loads into empty tables: their indexes and foreign keys are set aside, and made anew when all rows are there.

To enter a row into ten indexes and to look up two foreign keys costs many times as much as to store it; to build an
index of many rows costs a fraction of that. The price is that nobody else can use the tables until the transaction
ends, so it is done only where there is nothing yet that anybody could want. All of it belongs to that transaction:
however it ends, the tables have their indexes and foreign keys. What keeps names, codes and addresses unique stays all
the time.
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
# Foreign keys, and primary keys that nobody points to: their values are the database's own, and different anyway.
_KEYS = text("""
    SELECT conrelid::regclass::text AS table, quote_ident(conname) AS name, pg_get_constraintdef(oid) AS definition
    FROM pg_constraint AS kept WHERE conrelid = ANY (CAST(:tables AS regclass[])) AND (contype = 'f' OR (
        contype = 'p' AND NOT EXISTS (SELECT FROM pg_constraint WHERE contype = 'f' AND confrelid = kept.conrelid)
    )) ORDER BY oid
""")


def set_aside(session: Session, tables: Sequence[Table]) -> list[str]:
    """Drop what can be made anew of the tables, if all of them are empty; the statements that make it anew.

    A table stands behind those that it points to. The list is empty where a table has rows, or is so busy that
    it cannot be had for oneself within two seconds: then nothing was dropped.
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
    """Run what `set_aside` gave."""
    _run(session, *statements)


def _lock_empty(session: Session, tables: Sequence[Table]) -> bool:
    """Keep everybody else from the tables, and from those they point to; not if there are rows, or others at work."""
    if not _are_empty(session, tables):
        return False
    referenced = {key.column.table.name for table in tables for key in table.foreign_keys}
    names = [table.name for table in tables]
    # What is pointed to first, as everybody else locks.
    locked = ", ".join([*sorted(referenced - set(names)), *names])
    savepoint = session.begin_nested()
    try:
        _run(session, f"SET LOCAL lock_timeout = '{_LOCK_WAIT}'", f"LOCK TABLE {locked} IN ACCESS EXCLUSIVE MODE")
        # Rows may have come while the lock was waited for.
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
