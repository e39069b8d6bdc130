"""Notifications: those that are due go out, some at a time.

Each is marked as soon as it was accepted. It goes out twice only where a process is killed in between, a mail then with the
same Message-ID.
"""

import asyncio
import logging
import time
from functools import lru_cache, partial

from sqlalchemy.orm import Session

from config.settings import Settings, get_settings
from infrastructure.mail.delivery import MailRefused
from infrastructure.observability.redaction import redact
from jobs.attempt import Attempt, AttemptIsOver
from jobs.task import task
from models.notification import NotificationStatus
from repositories.job_sources import DEFER
from repositories.notification_queue import DueNotification, NotificationQueue
from services.notification_sender import NotificationSender
from services.notifier import SENDING

log = logging.getLogger("shop.mail")

AT_ONCE = 10
# Longer than any way out takes.
_TAKEN_SECONDS = 120.0
# A job ends after so long, and another one goes on.
_LONGEST_SECONDS = 300.0


@task(schedule="* * * * *")
async def send_notifications(attempt: Attempt) -> None:
    """Send what is due."""
    sender = _sender(get_settings())
    await attempt.transact(lambda session: NotificationQueue(session, attempt.job_id).free())
    ends_at = time.monotonic() + _LONGEST_SECONDS
    while not attempt.is_to_end.is_set():
        due = await attempt.transact(partial(_take, job_id=attempt.job_id))
        if not due:
            return
        sending = [_send(attempt, sender, one) for one in due]
        failed = [error for error in await asyncio.gather(*sending, return_exceptions=True) if error is not None]
        if failed:
            raise failed[0]
        if time.monotonic() > ends_at:
            await attempt.finish(lambda session: session.execute(DEFER, {"task": SENDING}))
            return


@lru_cache(maxsize=1)
def _sender(settings: Settings) -> NotificationSender:
    return NotificationSender(settings)


def _take(session: Session, *, job_id: int) -> list[DueNotification]:
    return NotificationQueue(session, job_id).take(AT_ONCE, _TAKEN_SECONDS)


async def _send(attempt: Attempt, sender: NotificationSender, due: DueNotification) -> None:
    """Send it, and write down what became of it."""
    if not due.is_wanted:
        await attempt.transact(lambda session: _queue(session, attempt).end(due.id_key, NotificationStatus.SUPPRESSED))
        return
    try:
        await sender.send(due)
    except AttemptIsOver:
        raise
    except MailRefused as error:
        said = str(error)
        log.warning("Notification %d is refused (%s, %s): %s", due.id_key, due.kind, due.channel, said)
        await attempt.transact(lambda session: _queue(session, attempt).refused(due.id_key, said))
    except Exception as error:  # Whatever is wrong with one, the others are sent.
        said = redact(str(error) if isinstance(error, OSError) else repr(error))
        log.warning("Notification %d waits (%s, %s): %s", due.id_key, due.kind, due.channel, said)
        await attempt.transact(lambda session: _queue(session, attempt).waits(due.id_key, said))
    else:
        log.info("Notification %d is sent: %s by %s", due.id_key, due.kind, due.channel)
        await attempt.transact(lambda session: _queue(session, attempt).end(due.id_key, NotificationStatus.SENT))


def _queue(session: Session, attempt: Attempt) -> NotificationQueue:
    return NotificationQueue(session, attempt.job_id)
