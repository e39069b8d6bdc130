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
    removed, last = purge(session, attempt.progress(session), get_settings().events_days, BATCH)
    if removed:
        attempt.note_progress(session, last)
    return removed == BATCH
