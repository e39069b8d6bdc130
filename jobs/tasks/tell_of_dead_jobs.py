"""Notifications: staff is told of jobs that have failed for good."""

from sqlalchemy.orm import Session

from config.settings import get_settings
from jobs.attempt import Attempt
from jobs.task import task
from services.notifier import Notifier


@task(schedule="* * * * *")
def tell_of_dead_jobs(attempt: Attempt, session: Session) -> None:
    """Tell of each once."""
    Notifier(session, get_settings()).tell_of_dead_jobs()
