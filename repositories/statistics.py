"""The statistics by which PostgreSQL plans its statements."""

from sqlalchemy import text
from sqlalchemy.orm import Session

from models import Base
from models.job import VIEW

# A view has no statistics.
TABLES = tuple(sorted(name for name, table in Base.metadata.tables.items() if VIEW not in table.info))


def analyze(session: Session, table: str) -> None:
    """Refresh the statistics of one of `TABLES`. One that somebody else has locked for that, or for a change, is passed over."""
    session.execute(text(f"ANALYZE (SKIP_LOCKED) {table}"))
