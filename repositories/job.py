"""Queries on jobs, and what somebody decides about one: to try it again, or to cancel it."""

from typing import Any

from sqlalchemy import bindparam, text

from models import Job
from repositories.base import BaseRepository, is_key
from repositories.query.filters import by_value

_LOCK = text("SELECT status::text FROM procrastinate_jobs WHERE id = :job FOR UPDATE")
# Its number of starts stays: an attempt that was frozen has a smaller one.
_RETRY = text("UPDATE procrastinate_jobs SET status = 'todo', scheduled_at = NULL WHERE id = :job")
_FORGIVE = text("UPDATE job_notes SET failures = 0, deaths = 0 WHERE job_id = :job")
_CANCEL = text("UPDATE procrastinate_jobs SET status = 'cancelled' WHERE id = :job")
# The attempt that is under way ends after its next step.
_ABORT = text("UPDATE procrastinate_jobs SET abort_requested = true WHERE id = :job")
# Of the oldest, which the keys tell: however many there are behind them, nobody looks at those.
_PURGE = text(
    """
    DELETE FROM procrastinate_jobs WHERE id IN (
        SELECT id_key FROM (SELECT id_key, created_at FROM jobs WHERE status = 'canceled' ORDER BY id_key LIMIT :batch) AS oldest
        WHERE created_at < now() - make_interval(days => :days)
    )
    """
)


class JobRepository(BaseRepository[Any]):
    model = Job
    filters = {**by_value(status=Job.status), "task": Job.task == bindparam("task")}

    @classmethod
    def sortable(cls) -> tuple[str, ...]:
        return ("id_key", "status", "task")

    def lock_status(self, job_id: int) -> str | None:
        """The status of the job as the queue calls it; it stays so until the transaction ends. None without such a job."""
        if not is_key(job_id):
            return None
        return self.session.execute(_LOCK, {"job": job_id}).scalar_one_or_none()

    def retry(self, job_id: int) -> None:
        """Have the job tried at once, with all its tries before it."""
        self.session.execute(_RETRY, {"job": job_id})
        self.session.execute(_FORGIVE, {"job": job_id})

    def cancel(self, job_id: int, *, is_running: bool) -> None:
        """Have the job not started any more, or ended after the next step."""
        self.session.execute(_ABORT if is_running else _CANCEL, {"job": job_id})

    def purge(self, days: int, batch: int) -> int:
        """Remove at most `batch` canceled jobs that were made so many days ago; how many were removed."""
        return int(self.session.execute(_PURGE, {"days": days, "batch": batch}).rowcount)  # type: ignore[attr-defined]
