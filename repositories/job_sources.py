"""What jobs are made of: events, by a relay with its cursor, and times, by schedules. Each makes its job once.

The queue of a job has the name of its task: a process takes only jobs of tasks that it knows.

Both are single statements: the cursor, or the next time, moves in the transaction that defers the jobs. So it does not
matter when a process dies, nor how many processes do this, and nothing is held between two statements by one that is frozen.
"""

from sqlalchemy import text

from infrastructure.database.prepared import Prepared

RELAY_BATCH = 500

# Sequences are given to committed events in their order, so that nothing smaller appears behind the cursor later. While
# another process moves the cursor this one does nothing.
RELAY = Prepared(
    "relay_events",
    """
    WITH reader AS MATERIALIZED (
        SELECT last_sequence FROM event_relays WHERE name = 'jobs' FOR UPDATE SKIP LOCKED
    ),
    batch AS MATERIALIZED (
        SELECT sequence, id, type FROM events WHERE sequence > (SELECT last_sequence FROM reader)
        ORDER BY sequence LIMIT $1::int
    ),
    subscribed AS MATERIALIZED (
        SELECT batch.sequence, task, jsonb_build_object('event_id', batch.id, 'sequence', batch.sequence) AS args
        FROM batch JOIN unnest($2::text[], $3::text[]) AS subscription (pattern, task) ON batch.type ~ subscription.pattern
        UNION ALL
        SELECT max(batch.sequence), task,
            jsonb_build_object('after', (SELECT last_sequence FROM reader), 'until', (SELECT max(sequence) FROM batch))
        FROM batch JOIN unnest($4::text[], $5::text[]) AS reader (pattern, task) ON batch.type ~ reader.pattern GROUP BY task
    ),
    wanted AS MATERIALIZED (
        SELECT array_agg(
            ROW(task, task, 0, NULL, NULL, args, NULL)::procrastinate_job_to_defer_v1 ORDER BY sequence, task
        ) AS jobs
        FROM subscribed
    ),
    moved AS (
        UPDATE event_relays SET last_sequence = (SELECT max(sequence) FROM batch)
        WHERE name = 'jobs' AND EXISTS (SELECT FROM batch)
    )
    SELECT (SELECT count(*) FROM batch), cardinality(procrastinate_defer_jobs_v1(jobs)) FROM wanted
    """,
    ("limit", "patterns", "tasks", "patterns_of_readers", "readers"),
)

# A schedule that is new, or has changed, is due from now on.
DECLARE = Prepared(
    "declare_schedule",
    """
    INSERT INTO job_schedules (task, cron, due_at) VALUES ($1::text, $2::text, $3::timestamptz)
    ON CONFLICT (task) DO UPDATE SET cron = excluded.cron, due_at = excluded.due_at WHERE job_schedules.cron <> excluded.cron
    """,
    ("task", "cron", "due_at"),
)
SCHEDULES = Prepared("schedules", "SELECT task, cron, due_at, clock_timestamp() FROM job_schedules")
NOW = Prepared("now", "SELECT clock_timestamp()")
# Who moves the time defers the job, unless the one before is still waiting.
FIRE = Prepared(
    "fire_schedule",
    """
    WITH moved AS (
        UPDATE job_schedules SET due_at = $3::timestamptz WHERE task = $1::text AND due_at = $2::timestamptz RETURNING task
    )
    SELECT procrastinate_defer_jobs_v1(
        ARRAY[ROW(task, task, 0, NULL, NULL, '{}', NULL)::procrastinate_job_to_defer_v1]
    ) FROM moved WHERE NOT EXISTS (SELECT FROM jobs WHERE jobs.task = moved.task AND jobs.status = 'queued')
    """,
    ("task", "due_at", "next_at"),
)
# One job more, in the transaction of a session.
DEFER = text(
    "SELECT procrastinate_defer_jobs_v1("
    "ARRAY[ROW(:task, :task, 0, NULL, NULL, '{}', NULL)::procrastinate_job_to_defer_v1])"
)
# Without a job: the clock of the database was far ahead when the time was set.
SET_BACK = Prepared(
    "set_schedule_back",
    "UPDATE job_schedules SET due_at = $3::timestamptz WHERE task = $1::text AND due_at = $2::timestamptz",
    ("task", "due_at", "next_at"),
)
