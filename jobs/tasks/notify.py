"""Notifications: events become what clients and staff are told."""

from sqlalchemy.orm import Session

from config.settings import get_settings
from jobs.attempt import Attempt
from jobs.task import task
from services.notifier import Notifier


@task()
def notify(attempt: Attempt, session: Session, *, after: int, until: int) -> None:
    """Tell of the events between these sequences."""
    Notifier(session, get_settings()).tell_between(after, until)
