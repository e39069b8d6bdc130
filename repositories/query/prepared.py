"""Statements that are prepared once per connection, with numbered parameters: as the async pools take them, and for sessions."""

from hashlib import sha256
from typing import Any

from sqlalchemy import ClauseElement, Connection, CursorResult
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.sql.compiler import SQLCompiler

from infrastructure.database.prepared import Parameters, Prepared

DIALECT = PGDialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]


def prepared(statement: ClauseElement, kind: str) -> tuple[Prepared, Parameters]:
    """The statement, under a name that begins with `kind`, and the values of its constants."""
    compiled = statement.compile(dialect=DIALECT)
    assert isinstance(compiled, SQLCompiler)
    text = str(compiled)
    # The name is a digest of the text, so that equal statements are prepared once.
    name = f"{kind}_{sha256(text.encode()).hexdigest()[:16]}"
    return Prepared(name, text, tuple(compiled.positiontup or ())), compiled.params


def execute_prepared(connection: Connection, statement: Prepared, parameters: Parameters) -> CursorResult[Any]:
    """The result of the statement within the transaction of a session, planned once and not each time."""
    known: set[str] = connection.info.setdefault("prepared", set())
    if statement.name not in known:
        # One plan: other values need no other.
        connection.exec_driver_sql("SET plan_cache_mode = force_generic_plan")
        connection.exec_driver_sql(f"PREPARE {statement.name} AS {statement.text}")
        known.add(statement.name)
    values = ", ".join(f"%({name})s" for name in statement.parameters)
    return connection.exec_driver_sql(f"EXECUTE {statement.name} ({values})", dict(parameters))
