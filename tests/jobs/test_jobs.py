"""Background processes as such: what becomes of jobs, whatever happens to the processes."""

import os
import signal
import time

import pytest

from tests.infrastructure.processes import wait_for
from tests.jobs.processes import Background
from tests.race.databases import execute, rows_of

pytestmark = pytest.mark.integration


def test_a_job_that_is_done_is_gone(work: Background) -> None:
    work.start()
    work.defer("add_one", name="one")
    work.defer("outgoing", name="other")
    work.wait_until_done()
    assert sorted(work.effects()) == ["one", "other begins", "other ends"]
    assert work.jobs() == {}


def test_a_job_that_fails_is_tried_again_and_dead_in_the_end(work: Background) -> None:
    work.start()
    dead, repeated = work.defer("fail", name="never seen"), work.defer("fail_once", name="repeated")
    wait_for(lambda: work.jobs() == {dead: "failed"}, "the job to be dead")
    assert repeated not in work.jobs()
    assert work.effects() == ["repeated"]
    ((error, attempts),) = rows_of(work.url, "SELECT error, attempts FROM jobs")
    assert (error, attempts) == ("ValueError: it does not work", 2)
    assert "is dead after 2 attempts" in work.log()


def test_two_processes_share_the_jobs_and_do_each_once(work: Background) -> None:
    for number in range(60):
        work.defer("add_one", name=str(number))
    work.start(), work.start()
    work.wait_until_done()
    assert sorted(work.effects(), key=int) == [str(number) for number in range(60)]


def test_a_killed_process_is_followed_by_another_that_goes_on(work: Background) -> None:
    first = work.start()
    work.defer("add_many", name="step", count=12, seconds=0.2)
    wait_for(lambda: len(work.effects()) >= 3, "the first steps")
    first.kill()
    work.start()
    work.wait_until_done()
    assert work.effects() == [f"step {number}" for number in range(12)]
    assert "is taken over" in work.log()


def test_a_thawed_process_changes_nothing(work: Background) -> None:
    """E4."""
    frozen = work.start()
    work.defer("add_when_told", name="once")
    work.wait_until_waiting(frozen)
    os.kill(frozen.pid, signal.SIGSTOP)
    other = work.start()
    work.wait_until_waiting(other)
    work.go()
    work.wait_until_done()
    os.kill(frozen.pid, signal.SIGCONT)
    wait_for(lambda: "was taken over by another process" in work.log(), "the thawed process to notice")
    work.defer("add_one", name="another")
    work.wait_until_done()
    assert rows_of(work.url, "SELECT name, pid FROM effects WHERE name = 'once'") == [("once", other.pid)]


def test_a_drained_process_leaves_its_jobs_to_others_at_once(work: Background) -> None:
    """E8, for jobs."""
    # Nobody counts as dead: what is left is not taken over, but given back.
    work.settings["DEAD_AFTER"] = "36000"
    first = work.start()
    work.defer("add_many", name="step", count=40, seconds=0.1)
    wait_for(lambda: work.effects(), "the first step")
    first.terminate()
    assert first.wait(60) == 0
    done = len(work.effects())
    assert set(work.jobs().values()) == {"queued"}
    work.start()
    work.wait_until_done()
    assert 0 < done < 40
    assert work.effects() == [f"step {number}" for number in range(40)]
    assert "is taken over" not in work.log()


def test_a_job_that_takes_longer_than_the_drain_is_left_to_others(work: Background) -> None:
    first = work.start(DRAIN_SECONDS="0.2")
    work.defer("add_when_told", name="once")
    work.wait_until_waiting(first)
    first.terminate()
    assert first.wait(60) == 0
    assert set(work.jobs().values()) == {"queued"}
    work.go()
    work.start()
    work.wait_until_done()
    assert work.effects() == ["once"]


def test_a_job_of_another_release_waits_for_it(work: Background) -> None:
    unknown = work.defer("of_another_release")
    work.start()
    work.defer("add_one", name="known")
    wait_for(work.effects, "the job behind it")
    wait_for(lambda: work.jobs() == {unknown: "queued"}, "its end")
    # Nobody has touched it, nor said anything of it.
    assert rows_of(work.url, "SELECT attempts FROM jobs") == [(0,)]
    assert "of_another_release" not in work.log()


def test_jobs_with_one_lock_run_one_after_the_other(work: Background) -> None:
    for number in range(3):
        work.defer("add_many", lock="one", name=str(number), count=3, seconds=0.05)
    work.start(), work.start()
    work.wait_until_done()
    assert work.effects() == [f"{number} {step}" for number in range(3) for step in range(3)]


def test_a_schedule_is_kept_once_over_all_processes(work: Background) -> None:
    for _ in range(3):
        work.start(EXAMPLE_SCHEDULE="* * * * * */2")
    wait_for(lambda: len(work.effects()) >= 3, "three due times")
    started = rows_of(
        work.url,
        "SELECT count(*), extract(epoch FROM due_at)::int FROM job_schedules, effects WHERE task = 'now_and_then' GROUP BY 2",
    )
    ((count, due),) = started
    time.sleep(0)
    assert count >= 3
    assert due % 2 == 0


def test_a_gap_is_caught_up_once(work: Background) -> None:
    """E7."""
    process = work.start()
    wait_for(lambda: rows_of(work.url, "SELECT 1 FROM job_schedules WHERE task = 'now_and_then'"), "the schedule")
    execute(work.url, "UPDATE job_schedules SET due_at = now() - interval '5 years' WHERE task = 'now_and_then'")
    wait_for(lambda: work.effects(), "the job")
    wait_for(lambda: work.jobs() == {}, "the end of the job")
    assert work.effects() == ["now and then"]
    ((is_ahead,),) = rows_of(work.url, "SELECT due_at > now() FROM job_schedules WHERE task = 'now_and_then'")
    assert is_ahead
    assert process.poll() is None


def test_a_process_that_was_heard_of_in_the_future_is_dead(work: Background) -> None:
    """E7: the clock was set back an hour after its last sign of life."""
    work.defer("add_one", name="one")
    execute(
        work.url,
        "WITH another AS (INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() + interval '1 hour') RETURNING id)"
        " UPDATE procrastinate_jobs SET status = 'doing', worker_id = another.id FROM another",
    )
    work.start()
    work.wait_until_done()
    assert work.effects() == ["one"]


@pytest.mark.timeout(400)
def test_a_trouble_that_lasts_is_said_once(work: Background) -> None:
    execute(work.url, "ALTER TABLE event_relays RENAME TO away")
    work.start()
    # Each beginning takes a number, also those that have been forgotten since.
    numbers = "SELECT last_value FROM procrastinate_workers_id_seq"
    wait_for(lambda: rows_of(work.url, numbers)[0][0] >= 3, "some beginnings", 300)
    assert work.log().count("Jobs wait: PostgreSQL refuses a statement (SQLSTATE 42P01)") == 1
    assert "Jobs are done again" not in work.log()
    execute(work.url, "ALTER TABLE away RENAME TO event_relays")
    wait_for(lambda: "Jobs are done again" in work.log(), "the end of the trouble")
