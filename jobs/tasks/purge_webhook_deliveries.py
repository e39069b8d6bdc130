"""Clean-up: webhook deliveries that were kept as long as events, whatever became of them."""

from sqlalchemy.orm import Session

from config.settings import get_settings
from jobs.attempt import Attempt
from jobs.task import task
from repositories.webhook_delivery import WebhookDeliveryRepository

BATCH = 1000


@task(schedule="10 * * * *")
def purge_webhook_deliveries(attempt: Attempt, session: Session) -> bool:
    """Remove one batch; whether there may be more."""
    return WebhookDeliveryRepository(session).purge(get_settings().events_days, BATCH) == BATCH
