"""Rows of the queues, as no background process would make them."""

from tests.race.databases import rows_of

_INSERT = """
    INSERT INTO procrastinate_jobs (queue_name, task_name, status, scheduled_at)
    VALUES (%s, %s, %s, now() + interval '1 day') RETURNING id
"""


def a_job(url: str, status: str = "todo", task: str = "of_a_test") -> dict[str, int]:
    """The key of a job in this status, as the queue calls it. Nobody knows the task."""
    ((job_id,),) = rows_of(url, _INSERT, task, task, status)
    return {"id_key": job_id}


_NOTIFICATION = """
    INSERT INTO notifications (event_id, kind, channel, recipient, client_id, language, status, tries, error)
    VALUES (gen_random_uuid(), 'order_placed', 'mail', 'ada@example.com', %s, 'en', 'failed', 5, 'refused') RETURNING id_key
"""


def a_notification(url: str, client_id: int) -> dict[str, int]:
    """The key of a notification to the client that has failed. Nobody knows its event."""
    ((notification_id,),) = rows_of(url, _NOTIFICATION, client_id)
    return {"id_key": notification_id}
