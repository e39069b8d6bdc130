"""The figures of the queue, for metrics."""

from infrastructure.database.engine import Database
from infrastructure.database.sqlstate import DatabaseUnavailable
from repositories.queue_figures import FIGURES, QueueFigures

__all__ = ["QueueFigures", "queue_figures"]


async def queue_figures(database: Database) -> QueueFigures | None:
    """What the queue holds now; None where the database does not say. Without a broker no event waits for it."""
    try:
        rows = await database.read_pool.run(FIGURES, {})
    except DatabaseUnavailable:
        return None
    if not rows:
        return None
    figures = QueueFigures(*rows[0])
    return figures if database.settings.rabbitmq_url else figures._replace(events_not_sent=None)
