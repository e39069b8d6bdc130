"""Statements of SQLAlchemy's as lanes want them: prepared once per connection, with numbered parameters."""

from sqlalchemy import ClauseElement
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2
from sqlalchemy.sql.compiler import SQLCompiler

from config.lanes import Prepared

DIALECT = PGDialect_psycopg2(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]


def prepared(name: str, statement: ClauseElement) -> Prepared:
    """The statement, prepared as `name`. Its parameters are those of its bound parameters that have no value yet."""
    compiled = statement.compile(dialect=DIALECT)
    assert isinstance(compiled, SQLCompiler)
    parameters = ", ".join(f"%({parameter})s" for parameter in compiled.positiontup or ())
    return Prepared(name, str(compiled), f"EXECUTE {name} ({parameters})" if parameters else f"EXECUTE {name}")
