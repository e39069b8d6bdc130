"""Rows of the queue, as no background process would make them."""

from tests.race.databases import rows_of

_INSERT = """
    INSERT INTO procrastinate_jobs (queue_name, task_name, status, scheduled_at)
    VALUES (%s, %s, %s, now() + interval '1 day') RETURNING id
"""


def a_job(url: str, status: str = "todo", task: str = "of_a_test") -> dict[str, int]:
    """The key of a job in this status, as the queue calls it. Nobody knows the task."""
    ((job_id,),) = rows_of(url, _INSERT, task, task, status)
    return {"id_key": job_id}
