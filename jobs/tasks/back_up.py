"""Backup: taken and verified at the times that `python -m scripts.backup --schedule` has set."""

import asyncio
import logging
from functools import partial

from config.database import database_uri
from config.settings import get_settings
from infrastructure.backup.errors import BackupError
from jobs.attempt import Attempt
from jobs.task import BY_OPERATOR, task
from services.backup import BackupService, NotVerifiable

log = logging.getLogger("shop.jobs")


@task(schedule=BY_OPERATOR, tries=3)
async def back_up(attempt: Attempt) -> None:
    """Take a backup, remove old ones, and log at ERROR what is wrong with the new one."""
    settings, stopping = get_settings(), attempt.is_to_end.is_set
    service = BackupService(settings, database_uri(settings))
    try:
        backup, removed = await asyncio.to_thread(service.take, stopping)
        log.info("The backup %s has %d bytes; %d old ones are removed", backup.name, backup.size, len(removed))
        verdict = await asyncio.to_thread(partial(service.verify, backup, stopping))
    except NotVerifiable as error:
        log.warning("The backup is not verified. %s", error)
        return
    except BackupError:
        if stopping():
            return
        raise
    if verdict.is_sound:
        log.info("The backup %s is verified", backup.name)
        return
    broken = [finding.breaches[0] for finding in verdict.findings if finding.breaches]
    log.error("The backup %s is not sound: %s", backup.name, "; ".join([*verdict.other_counts, *broken]))
