"""SQLAlchemy's statements as the async pools take them: prepared once per connection, with numbered parameters."""

from hashlib import sha256

from sqlalchemy import ClauseElement
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
