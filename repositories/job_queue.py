"""Statements on the queue that are ours and not the library's: how an attempt at a job ends, and who takes over.

An attempt is a job and the number of times that it was started before. Whoever takes a job over counts that number up;
so what an attempt does counts only while the job still has its number, which is looked at under the lock of the job's row.
A process that was frozen meanwhile, and goes on, finds another number there and changes nothing.

All times are those of the database's clock. What may be done at once has no time, and does not wait for one that
was set back. Each statement is a transaction by itself, except for those that take a
session, which belong to the transaction of a task.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from infrastructure.database.prepared import Prepared

# What a process that wants work is told by, through Redis.
_CURRENT = "id = $1::bigint AND attempts = $2::int AND status = 'doing'"

# After so many seconds the first failure is repeated, and after twice as many each further one, up to the longest; more
# or less by a quarter, so that jobs that failed together are not repeated together.
_FIRST_PAUSE, _LONGEST_PAUSE = 5, 3600
_PAUSE = f"least({_FIRST_PAUSE} * power(2, note.failures - 1), {_LONGEST_PAUSE}) * (0.75 + 0.5 * random())"
# A job whose process died may have nothing to do with it; one that has killed so many has.
_MOST_DEATHS = 30

# The attempt has failed, or ($5) its process has died. Where a job was to be canceled, a failure cancels it.
FAIL = Prepared(
    "fail_job",
    f"""
    WITH current AS (SELECT id, abort_requested FROM procrastinate_jobs WHERE {_CURRENT} FOR UPDATE),
    note AS (
        INSERT INTO job_notes (job_id, failures, deaths, error)
        SELECT id, (NOT $5::boolean)::int, ($5::boolean)::int, $3::text FROM current
        ON CONFLICT (job_id) DO UPDATE SET failures = job_notes.failures + excluded.failures,
            deaths = job_notes.deaths + excluded.deaths, error = excluded.error
        RETURNING job_id, failures, deaths
    ),
    verdict AS (
        SELECT current.id, (CASE
            WHEN current.abort_requested THEN 'cancelled'
            WHEN note.failures >= $4::int OR note.deaths >= {_MOST_DEATHS} THEN 'failed'
            ELSE 'todo' END)::procrastinate_job_status AS status,
            CASE WHEN NOT $5::boolean THEN {_PAUSE} END AS pause
        FROM current JOIN note ON note.job_id = current.id
    )
    UPDATE procrastinate_jobs AS job SET
        status = verdict.status, attempts = job.attempts + 1, abort_requested = false, worker_id = NULL,
        scheduled_at = clock_timestamp() + make_interval(secs => verdict.pause)
    FROM verdict WHERE job.id = verdict.id RETURNING job.status::text, job.attempts
    """,  # noqa: S608 (constants of this module)
    ("job", "attempt", "error", "tries", "died"),
)
# It is nobody's fault: the process ends, or the database was away. Another one may have the job after some seconds.
RELEASE = Prepared(
    "release_job",
    f"""
    WITH current AS (SELECT id FROM procrastinate_jobs WHERE {_CURRENT} FOR UPDATE)
    UPDATE procrastinate_jobs SET
        status = (CASE WHEN abort_requested THEN 'cancelled' ELSE 'todo' END)::procrastinate_job_status,
        attempts = attempts + 1, abort_requested = false, worker_id = NULL,
        scheduled_at = clock_timestamp() + make_interval(secs => nullif($3::float8, 0))
    WHERE id IN (SELECT id FROM current) RETURNING id
    """,  # noqa: S608 (constants of this module)
    ("job", "attempt", "seconds"),
)

HEARTBEAT = Prepared(
    "worker_lives",
    "UPDATE procrastinate_workers SET last_heartbeat = now() WHERE id = $1::bigint RETURNING id",
    ("worker",),
)
# Jobs of workers that are gone, or have not been heard of for so many seconds; or, after the clock was set back, are said
# to have been heard of in the future: who lives says otherwise at the next beat.
STALLED = Prepared(
    "stalled_jobs",
    """
    SELECT job.id, job.attempts, job.task_name FROM procrastinate_jobs AS job
    LEFT JOIN procrastinate_workers AS worker ON worker.id = job.worker_id
    WHERE job.status = 'doing'
        AND (worker.id IS NULL OR abs(extract(epoch FROM clock_timestamp() - worker.last_heartbeat)) > $1::float8)
    ORDER BY job.id LIMIT 100
    """,
    ("seconds",),
)
FORGET_WORKERS = Prepared(
    "forget_workers",
    """
    DELETE FROM procrastinate_workers WHERE id IN (
        SELECT id FROM procrastinate_workers WHERE last_heartbeat < clock_timestamp() - make_interval(secs => $1::float8)
        LIMIT 100 FOR UPDATE SKIP LOCKED
    ) RETURNING id
    """,
    ("seconds",),
)


@dataclass(frozen=True, slots=True)
class Held:
    """A job whose row this transaction has locked, for an attempt that is still the current one."""

    is_to_cancel: bool


_LOCK = text(
    "SELECT abort_requested FROM procrastinate_jobs "
    "WHERE id = :job AND attempts = :attempt AND status = 'doing' FOR NO KEY UPDATE"
)
# What belongs to the job goes with it.
_DELETE = text("DELETE FROM procrastinate_jobs WHERE id = :job")
_NOTE_PROGRESS = text(
    "INSERT INTO job_notes (job_id, done, total) VALUES (:job, :done, :total) "
    "ON CONFLICT (job_id) DO UPDATE SET done = excluded.done, total = excluded.total"
)
_PROGRESS = text("SELECT done, total FROM job_notes WHERE job_id = :job AND done IS NOT NULL")


class JobQueue:
    """The job of an attempt, in the transaction of a session."""

    def __init__(self, session: Session, job_id: int, attempt: int) -> None:
        self._session = session
        self._parameters = {"job": job_id, "attempt": attempt}

    def hold(self) -> Held | None:
        """Lock the job until the transaction ends; None if the attempt is not the current one any more."""
        is_to_cancel: bool | None = self._session.execute(_LOCK, self._parameters).scalar_one_or_none()
        return None if is_to_cancel is None else Held(is_to_cancel)

    def delete(self) -> None:
        """Remove the job, which is held and done."""
        self._session.execute(_DELETE, self._parameters)

    def note_progress(self, done: int, total: int | None) -> None:
        """Write down how far the job is."""
        self._session.execute(_NOTE_PROGRESS, {**self._parameters, "done": done, "total": total})

    def progress(self) -> tuple[int, int | None] | None:
        """How far the job was when a transaction of it was committed the last time."""
        row: Any = self._session.execute(_PROGRESS, self._parameters).one_or_none()
        return None if row is None else (row.done, row.total)
