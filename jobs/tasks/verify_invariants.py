"""Verification: every night the invariants that `python -m scripts.verify` proves, by short statements.

Large tables are walked by their keys, each part in a transaction of its own, so that no snapshot lasts longer than a
statement of a request may, and nothing is held for long.
"""

import asyncio
import logging
from functools import partial
from typing import Any

from sqlalchemy.orm import Session

from config.settings import get_settings
from jobs.attempt import Attempt
from jobs.task import task
from models.notification import NotificationKind
from repositories.verification import Span
from services.errors import Unavailable
from services.invariants import Invariant
from services.notifier import Notifier
from services.verification import INVARIANTS, VerificationService

log = logging.getLogger("shop.jobs")

ROWS_AT_ONCE = 1000
MOST_BREACHES = 1000
# What breaks an invariant still after so many seconds was not just on its way.
_SECOND_LOOK_SECONDS = 5.0


@task(schedule="20 2 * * *", tries=3)
async def verify_invariants(attempt: Attempt) -> None:
    """Log one line at ERROR for each invariant that is broken: which one, by how many rows, and the first of them.

    Staff gets a mail with all of them.
    """
    broken: list[dict[str, Any]] = []
    for invariant in INVARIANTS:
        if attempt.is_to_end.is_set():
            return
        if not invariant.lasting:
            continue
        try:
            count, first = await (_walk if invariant.walked else _look)(attempt, invariant)
        except Unavailable:
            log.warning(
                "Not verified, because it takes too long: %s. python -m scripts.verify has the time", invariant.text
            )
            continue
        if count:
            log.error("Broken by %d rows: %s. The first: %s", count, invariant.text, first)
            broken.append({"text": invariant.text, "count": count, "first": first})
    if broken:
        await attempt.finish(partial(_tell_staff, job_id=attempt.job_id, broken=broken))


def _tell_staff(session: Session, *, job_id: int, broken: list[dict[str, Any]]) -> None:
    kind = NotificationKind.INVARIANTS_BROKEN
    Notifier(session, get_settings()).tell_staff(kind, str(job_id), {"broken": broken})


async def _walk(attempt: Attempt, invariant: Invariant) -> tuple[int, str]:
    """How many rows break the invariant, found part by part, and what is said of the first."""
    count, first, after, size = 0, "", 0, ROWS_AT_ONCE
    while not attempt.is_to_end.is_set():
        work = partial(_part, invariant=invariant, after=after, size=size)
        try:
            span, breaches = await attempt.transact(work)
        except Unavailable:
            if size == 1:
                raise
            # Rows of which each has very many others.
            size //= 2
            continue
        if span is None:
            break
        count, first, after = count + len(breaches), first or "".join(breaches[:1]), span.last
    return count, first


def _part(session: Session, *, invariant: Invariant, after: int, size: int) -> tuple[Span | None, list[str]]:
    service = VerificationService(session)
    span = service.next_span(invariant, after, size)
    return span, [] if span is None else service.breaches(invariant, MOST_BREACHES, span)


async def _look(attempt: Attempt, invariant: Invariant) -> tuple[int, str]:
    """As `_walk`, by one statement; what it finds is looked at again a little later."""

    def breaches(session: Session) -> list[str]:
        return VerificationService(session).breaches(invariant, MOST_BREACHES)

    found = await attempt.transact(breaches)
    if found:
        await asyncio.sleep(_SECOND_LOOK_SECONDS)
        found = await attempt.transact(breaches)
    return len(found), "".join(found[:1])
