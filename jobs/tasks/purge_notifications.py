"""Clean-up: notifications that were kept as long as events, `EVENTS_DAYS`."""

from sqlalchemy.orm import Session

from config.settings import get_settings
from jobs.attempt import Attempt
from jobs.task import task
from repositories.notification import NotificationRepository

BATCH = 1000


@task(schedule="10 * * * *")
def purge_notifications(attempt: Attempt, session: Session) -> bool:
    """Remove one batch; whether there may be more. It goes on behind the last one, whose place in the index is not clean yet."""
    after, days = attempt.progress(session), get_settings().events_days
    removed, last = NotificationRepository(session).purge(after, days, BATCH)
    if removed:
        attempt.note_progress(session, last)
    return removed == BATCH
