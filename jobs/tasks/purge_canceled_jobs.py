"""Clean-up: jobs that were canceled long ago."""

from sqlalchemy.orm import Session

from jobs.attempt import Attempt
from jobs.task import task
from services.idempotency import PURGE_BATCH
from services.job import purge_jobs


@task(schedule="40 3 * * *")
def purge_canceled_jobs(attempt: Attempt, session: Session) -> bool:
    """Remove one batch; whether there may be more."""
    return purge_jobs(session) == PURGE_BATCH
