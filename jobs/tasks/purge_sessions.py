"""Clean-up: sessions and the tokens of mails that have expired."""

from sqlalchemy.orm import Session

from jobs.attempt import Attempt
from jobs.task import task
from services.idempotency import PURGE_BATCH
from services.identity.account_tokens import purge_tokens
from services.identity.sessions import purge_sessions as purge


@task(schedule="*/10 * * * *")
def purge_sessions(attempt: Attempt, session: Session) -> bool:
    """Remove one batch of each; whether there may be more."""
    return max(purge(session), purge_tokens(session)) == PURGE_BATCH
