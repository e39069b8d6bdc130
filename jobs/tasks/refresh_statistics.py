"""Statistics of the planner: each table is analyzed every night, whether or not autovacuum found it worth its while."""

import logging
from functools import partial

from jobs.attempt import Attempt
from jobs.task import task
from repositories.statistics import TABLES, analyze
from services.errors import Unavailable

log = logging.getLogger("shop.jobs")


@task(schedule="40 3 * * *")
async def refresh_statistics(attempt: Attempt) -> None:
    """Analyze the tables one after another, each in a transaction of its own; one that takes too long is left out."""
    for table in TABLES:
        if attempt.is_to_end.is_set():
            return
        try:
            await attempt.transact(partial(analyze, table=table))
        except Unavailable:
            log.warning("The statistics of %s could not be refreshed in time", table)
