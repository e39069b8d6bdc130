"""Statements of SQLAlchemy's as lanes want them: prepared once per connection, with numbered parameters."""

from hashlib import sha256

from sqlalchemy import ClauseElement
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.sql.compiler import SQLCompiler

from infrastructure.database.prepared import Parameters, Prepared

DIALECT = PGDialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]


def prepared(statement: ClauseElement, kind: str) -> tuple[Prepared, Parameters]:
    """The statement, under a name that begins with `kind`, and the values of the parameters that it brings with it."""
    compiled = statement.compile(dialect=DIALECT)
    assert isinstance(compiled, SQLCompiler)
    text = str(compiled)
    # Its text is its name: lanes keep what they have prepared, whoever asks for it.
    name = f"{kind}_{sha256(text.encode()).hexdigest()[:16]}"
    return Prepared(name, text, tuple(compiled.positiontup or ())), compiled.params
