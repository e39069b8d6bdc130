"""Queries on notifications: the lists of staff, and what makes new ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert

from models import Client, Notification, User
from models.event import EventType
from repositories.base import BaseRepository
from repositories.query.filters import by_value

_BETWEEN = text("""
    SELECT id, sequence, type, client_id, data ->> 'new_status' AS new_status FROM events
    WHERE sequence > :after AND sequence <= :until AND type = ANY(:types) ORDER BY sequence
""")
_BY_ID = text("""
    SELECT id, sequence, type, client_id, data ->> 'new_status' AS new_status FROM events
    WHERE id = ANY(CAST(:ids AS uuid[])) ORDER BY sequence
""")
_DEAD_JOBS = text("""
    SELECT jobs.id_key, jobs.task, jobs.attempts, jobs.error FROM jobs WHERE status = 'failed' ORDER BY id_key DESC LIMIT :limit
""")
# Of the oldest, which the keys tell. One that waits stays.
_PURGE = text("""
    DELETE FROM notifications WHERE id_key IN (
        SELECT id_key FROM (
            SELECT id_key, created_at, status FROM notifications WHERE id_key > :after ORDER BY id_key LIMIT :batch
        ) AS oldest WHERE created_at < now() - :days * interval '1 day' AND status <> 'queued'
    ) RETURNING id_key
""")


@dataclass(frozen=True, slots=True)
class ToldEvent:
    """An event, as far as it decides who is told of it."""

    id: UUID
    sequence: int
    type: EventType
    client_id: int | None
    new_status: int | None


class NotificationRepository(BaseRepository[Notification]):
    model = Notification
    filters = by_value(
        status=Notification.status,
        channel=Notification.channel,
        kind=Notification.kind,
        client_id=Notification.client_id,
    )

    def now(self) -> datetime:
        """The time of the database."""
        now: datetime = self.session.scalars(select(func.clock_timestamp())).one()
        return now

    def events_between(self, after: int, until: int, types: Sequence[str]) -> Sequence[ToldEvent]:
        """The events of these types behind one sequence, up to the other."""
        found = self.session.execute(_BETWEEN, {"after": after, "until": until, "types": list(types)})
        return [_event(row) for row in found]

    def events(self, ids: Sequence[UUID]) -> Sequence[ToldEvent]:
        """The events with these ids that are still there."""
        return [_event(row) for row in self.session.execute(_BY_ID, {"ids": [str(one) for one in ids]})]

    def clients(self, keys: Sequence[int]) -> Mapping[int, Any]:
        """How these clients are told, by their keys; they cannot be deleted before the transaction ends."""
        columns = (Client.id_key, Client.email, Client.telephone, Client.language, Client.notify)
        found = select(*columns).where(Client.id_key.in_(keys)).order_by(Client.id_key)
        rows = self.session.execute(found.with_for_update(read=True, key_share=True))
        return {row.id_key: row for row in rows}

    def users_of(self, roles: Sequence[str]) -> Sequence[str]:
        """The addresses of the active users with one of these roles."""
        found = select(User.email).where(User.role.in_(roles), User.is_active).order_by(User.id_key)
        return self.session.scalars(found).all()

    def add_new(self, rows: Sequence[Mapping[str, Any]]) -> int:
        """Add those that are not there yet; how many."""
        if not rows:
            return 0
        adding = insert(Notification).on_conflict_do_nothing().returning(Notification.id_key)
        return len(self.session.execute(adding, list(rows)).all())

    def dead_jobs(self, limit: int) -> Sequence[Any]:
        """Jobs that have failed for good, the newest first."""
        return self.session.execute(_DEAD_JOBS, {"limit": limit}).all()

    def purge(self, after: int, days: float, batch: int) -> tuple[int, int]:
        """Remove those older than `days` of the first `batch` behind the key `after`; how many, and the last of them."""
        removed = self.session.scalars(_PURGE, {"after": after, "days": days, "batch": batch}).all()
        return len(removed), max(removed, default=0)


def _event(row: Any) -> ToldEvent:
    status = None if row.new_status is None else int(row.new_status)
    return ToldEvent(row.id, row.sequence, row.type, row.client_id, status)
