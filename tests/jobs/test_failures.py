"""What a failure of a task leads to: the end of its tries, in words that may be shown, and of nothing else."""

import pytest

from tests.infrastructure.processes import wait_for
from tests.jobs.processes import Background
from tests.race.databases import execute, rows_of

pytestmark = pytest.mark.integration

_HURRY = "UPDATE procrastinate_jobs SET scheduled_at = now() WHERE status = 'todo' AND scheduled_at IS NOT NULL"


def wait_until_dead(work: Background, *job_ids: int) -> None:
    """Wait until the jobs have failed for good, without the pauses between the tries."""

    def are_dead() -> bool:
        execute(work.url, _HURRY)
        return all(work.jobs()[one] == "failed" for one in job_ids)

    wait_for(are_dead, "the jobs to be dead")


def error_of(work: Background, job_id: int) -> str:
    ((error,),) = rows_of(work.url, "SELECT error FROM jobs WHERE id_key = %s", job_id)
    return str(error)


def test_errors_are_shown_without_secrets_and_without_sql(work: Background) -> None:
    process = work.start()
    unstorable, divided = work.defer("say_unstorable"), work.defer("divide")
    wait_until_dead(work, unstorable, divided)
    assert error_of(work, unstorable) == r"ValueError: bytes ? and , with password=[PASSWORD_REDACTED]"
    assert error_of(work, divided) == "DivisionByZero: division by zero"
    assert process.poll() is None


def test_a_task_that_the_database_stops_each_time_is_dead_in_the_end(work: Background) -> None:
    work.start(IDLE_SECONDS="1")
    slow, resting = work.defer("wait_too_long"), work.defer("rest")
    wait_until_dead(work, slow, resting)
    assert error_of(work, slow).startswith("QueryCanceled: ")
    assert error_of(work, resting) == "StepRested: A step must not rest for 1 s inside a transaction"
    assert "The database is away" not in work.log()


def test_a_task_that_would_end_the_process_has_failed(work: Background) -> None:
    process = work.start()
    jobs = work.defer("leave"), work.defer("leave_in_a_thread")
    wait_until_dead(work, *jobs)
    assert process.poll() is None


def test_a_task_that_hangs_has_failed_and_its_process_makes_room_for_another(work: Background) -> None:
    process = work.start(LONGEST_SECONDS="1")
    hanging = work.defer("hang")
    wait_until_dead(work, hanging)
    assert error_of(work, hanging) == "TaskHangs: It has not ended within 1 s"
    assert process.wait(60) == 0


def test_jobs_of_one_schedule_that_fail_hold_up_nobody(work: Background) -> None:
    """A second one may be due while the first is under way."""
    work.start(EXAMPLE_SCHEDULE="0 0 1 1 *")
    due = "UPDATE job_schedules SET due_at = now() WHERE task = 'now_and_then'"
    wait_for(lambda: rows_of(work.url, "SELECT 1 FROM job_schedules WHERE task = 'now_and_then'"), "the schedule")
    execute(work.url, "ALTER TABLE effects RENAME TO away")
    execute(work.url, due)
    first = "SELECT 1 FROM jobs WHERE task = 'now_and_then' AND status = 'queued' AND attempts = 1"
    wait_for(lambda: rows_of(work.url, first), "the first to have failed")
    # It runs for somebody who is not heard of for a while.
    execute(
        work.url,
        "WITH another AS (INSERT INTO procrastinate_workers DEFAULT VALUES RETURNING id) UPDATE procrastinate_jobs"
        " SET status = 'doing', worker_id = another.id FROM another WHERE task_name = 'now_and_then'",
    )
    execute(work.url, due)
    wait_for(lambda: rows_of(work.url, first), "the second to have failed")
    wait_for(lambda: "running" not in work.jobs().values(), "the first to be back beside the second")
    assert list(work.jobs().values()) == ["queued", "queued"]
