"""What metrics tell of the queue, at a bounded cost: nothing is counted beyond `MOST`."""

from typing import NamedTuple

from infrastructure.database.prepared import Prepared

MOST = 10_000

# Jobs that are due stand in front of the queue; the first of them are looked at.
FIGURES = Prepared(
    "queue_figures",
    f"""
    SELECT
        (SELECT count(*) FROM (SELECT FROM procrastinate_jobs WHERE status = 'todo' LIMIT {MOST}) AS counted),
        (SELECT count(*) FROM (SELECT FROM procrastinate_jobs WHERE status = 'doing' LIMIT {MOST}) AS counted),
        (SELECT count(*) FROM (SELECT FROM jobs WHERE status = 'failed' LIMIT {MOST}) AS counted),
        (SELECT coalesce(greatest(max(extract(epoch FROM now() - coalesce(scheduled_at, created_at))), 0), 0)::float8 FROM (
            SELECT job.scheduled_at, event.at AS created_at FROM (
                SELECT id, scheduled_at FROM procrastinate_jobs WHERE status = 'todo' ORDER BY priority DESC, id LIMIT 1000
            ) AS job LEFT JOIN procrastinate_events AS event ON event.job_id = job.id AND event.type = 'deferred'
        ) AS queued),
        unread.number + behind.jobs, unread.number + behind.broker
    FROM (
        SELECT count(*) AS number FROM (SELECT FROM events WHERE sequence IS NULL LIMIT {MOST}) AS counted
    ) AS unread, (
        SELECT max(number) FILTER (WHERE name IN ('jobs', 'webhooks')) AS jobs, max(number) FILTER (WHERE name = 'broker') AS broker
        FROM event_relays CROSS JOIN LATERAL (
            SELECT count(*) AS number
            FROM (SELECT FROM events WHERE sequence > event_relays.last_sequence LIMIT {MOST}) AS counted
        ) AS waiting
    ) AS behind
    """,  # noqa: S608 (constants of this module)
)


class QueueFigures(NamedTuple):
    """Jobs by what has become of them, the age in seconds of the oldest that is due, and events that wait for jobs, and for a broker."""

    queued: int
    running: int
    failed: int
    oldest_seconds: float
    events_not_relayed: int
    events_not_sent: int | None
