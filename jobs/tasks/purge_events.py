"""Clean-up: events that were kept for `EVENTS_DAYS`."""

from sqlalchemy.orm import Session

from config.settings import get_settings
from jobs.attempt import Attempt
from jobs.task import task
from repositories.event_retention import purge

BATCH = 1000


@task(schedule="5 * * * *")
def purge_events(attempt: Attempt, session: Session) -> bool:
    """Remove one batch; whether there may be more. It goes on behind the last one, whose place in the index is not clean yet."""
    settings = get_settings()
    has_broker = settings.rabbitmq_url is not None
    removed, last = purge(session, attempt.progress(session), settings.events_days, BATCH, has_broker=has_broker)
    if removed:
        attempt.note_progress(session, last)
    return removed == BATCH
