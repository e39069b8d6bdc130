"""The queue of notifications: an attempt at a job takes some for a while, and then says what became of each.

All times are those of the database's clock. What may be sent at once has no time, and does not wait for one that was set back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from models.notification import NotificationKind, NotificationStatus
from schemas.json_codec import from_json

# A refusal is repeated after so many seconds, five tries within a day in all; more or less by a tenth, so that those that
# were refused together are not repeated together.
PAUSES = (300, 3600, 18_000, 64_500)
# Where the way out is closed, nobody is to blame: the pauses grow with the time of waiting.
_SHORTEST, _LONGEST, _GIVEN_UP_DAYS = 15, 1800, 3
_LONGEST_ERROR = 500

_FREE = text("UPDATE notifications SET next_try_at = NULL, taken_by = NULL WHERE taken_by = :job AND status = 'queued'")
_TAKE = text("""
    WITH due AS (
        SELECT id_key FROM notifications WHERE status = 'queued' AND (next_try_at IS NULL OR next_try_at <= clock_timestamp())
        ORDER BY next_try_at NULLS FIRST, id_key LIMIT :batch FOR UPDATE SKIP LOCKED
    ), taken AS (
        UPDATE notifications SET next_try_at = clock_timestamp() + make_interval(secs => :seconds), taken_by = :job
        FROM due WHERE notifications.id_key = due.id_key RETURNING notifications.*
    )
    SELECT taken.id_key, taken.event_id, taken.kind, taken.channel, taken.recipient, taken.language, taken.resends, taken.queued_at,
        taken.fields, clients.name, coalesce((clients.notify ->> taken.channel)::boolean, true) AS is_wanted
    FROM taken LEFT JOIN clients ON clients.id_key = taken.client_id ORDER BY taken.id_key
""")
_DATA = text("SELECT id, data::text FROM events WHERE id = ANY(CAST(:ids AS uuid[]))")

_MINE = "WHERE id_key = :id AND taken_by = :job AND status = 'queued'"
_END = text(f"""
    UPDATE notifications SET status = :status, error = :error, next_try_at = NULL, taken_by = NULL,
        sent_at = CASE WHEN :status = 'sent' THEN clock_timestamp() ELSE sent_at END {_MINE}
""")  # noqa: S608 (constants of this module)
_REFUSED = text(f"""
    UPDATE notifications SET tries = tries + 1, error = :error, taken_by = NULL,
        status = CASE WHEN tries + 1 > {len(PAUSES)} THEN 'failed' ELSE 'queued' END,
        next_try_at = clock_timestamp() + make_interval(
            secs => (ARRAY{list(PAUSES)})[tries + 1] * (0.9 + 0.2 * random())
        ) {_MINE}
""")  # noqa: S608 (constants of this module)
_WAITS = text(f"""
    UPDATE notifications SET error = :error, taken_by = NULL,
        status = CASE WHEN queued_at < now() - interval '{_GIVEN_UP_DAYS} days' THEN 'failed' ELSE 'queued' END,
        next_try_at = CASE WHEN queued_at >= now() - interval '{_GIVEN_UP_DAYS} days' THEN clock_timestamp() + make_interval(
            secs => greatest({_SHORTEST}, least({_LONGEST}, extract(epoch FROM now() - queued_at) / 2))
        ) END {_MINE}
""")  # noqa: S608 (constants of this module)


@dataclass(frozen=True, slots=True)
class DueNotification:
    """A notification that was taken. `data` is what its event is about, `name` that of the client.

    `is_wanted` is false where the client wants none by this channel any more.
    """

    id_key: int
    kind: NotificationKind
    channel: str
    recipient: str
    language: str
    resends: int
    queued_at: datetime
    name: str | None
    is_wanted: bool
    data: Mapping[str, Any] | None


class NotificationQueue:
    """The notifications that wait, for an attempt at the job with this key."""

    def __init__(self, session: Session, job_id: int) -> None:
        self._session, self._job_id = session, job_id

    def free(self) -> None:
        """Give back what an attempt before this one had taken."""
        self._session.execute(_FREE, {"job": self._job_id})

    def take(self, batch: int, seconds: float) -> list[DueNotification]:
        """Some that are due, and that nobody else takes within so many seconds."""
        taken = self._session.execute(_TAKE, {"batch": batch, "seconds": seconds, "job": self._job_id}).all()
        data = self._data([row.event_id for row in taken if not row.fields])
        return [
            DueNotification(
                row.id_key,
                NotificationKind(row.kind),
                *(row.channel, row.recipient, row.language, row.resends, row.queued_at, row.name, row.is_wanted),
                row.fields or data.get(row.event_id),
            )
            for row in taken
        ]

    def _data(self, event_ids: Sequence[UUID]) -> dict[UUID, Any]:
        if not event_ids:
            return {}
        rows = self._session.execute(_DATA, {"ids": [str(one) for one in event_ids]})
        return {row.id: from_json(row.data.encode()) for row in rows}

    def end(self, notification_id: int, status: NotificationStatus, error: str | None = None) -> None:
        """It is sent, suppressed, or has failed for good."""
        self._execute(_END, notification_id, error, status=str(status))

    def refused(self, notification_id: int, error: str) -> None:
        """Somebody does not take it: it is tried five times over a day, and has failed then."""
        self._execute(_REFUSED, notification_id, error)

    def waits(self, notification_id: int, error: str) -> None:
        """The way out is closed: it waits, three days at most."""
        self._execute(_WAITS, notification_id, error)

    def _execute(self, statement: Any, notification_id: int, error: str | None, **more: Any) -> None:
        said = None if error is None else error.replace("\x00", "")[:_LONGEST_ERROR]
        self._session.execute(statement, {"id": notification_id, "job": self._job_id, "error": said, **more})
