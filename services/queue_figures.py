"""The figures of the queue, for metrics."""

from infrastructure.database.engine import Database
from infrastructure.database.sqlstate import DatabaseUnavailable
from repositories.queue_figures import FIGURES, QueueFigures

__all__ = ["QueueFigures", "queue_figures"]


async def queue_figures(database: Database) -> QueueFigures | None:
    """What the queue holds now; None where the database does not say."""
    try:
        rows = await database.read_pool.run(FIGURES, {})
    except DatabaseUnavailable:
        return None
    return QueueFigures(*rows[0]) if rows else None
