"""Clean-up: replies that were kept for an Idempotency-Key long enough."""

from sqlalchemy.orm import Session

from jobs.attempt import Attempt
from jobs.task import task
from services.idempotency import PURGE_BATCH, purge


@task(schedule="*/10 * * * *")
def purge_idempotency_keys(attempt: Attempt, session: Session) -> bool:
    """Remove one batch; whether there may be more."""
    return purge(session) == PURGE_BATCH
