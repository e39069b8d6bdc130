"""Rotation: secrets of webhook endpoints under the present key of SECRET_KEYS, so that older ones can be taken out."""

from sqlalchemy.orm import Session

from config.settings import get_settings
from jobs.attempt import Attempt
from jobs.task import task
from security.secret_keys import key_ring
from services.webhook_endpoint import WebhookEndpointService, secret_box


@task(schedule="50 * * * *")
def renew_webhook_secrets(attempt: Attempt, session: Session) -> bool:
    """Encrypt the secrets of some endpoints anew, and forget those that sign no more; whether there may be more."""
    after = attempt.progress(session)
    last = WebhookEndpointService(session).renew_secrets(after, secret_box(key_ring(get_settings())))
    if last is not None:
        attempt.note_progress(session, last)
    return last is not None
