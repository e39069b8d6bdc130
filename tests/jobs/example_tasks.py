"""A background process with tasks that only tests have: `python -m tests.jobs.example_tasks`.

Where a task says that it waits, it does so until its folder (EXAMPLES) has the file `go`, after it has said so by a file
`waits.<pid>` there. DEAD_AFTER shortens the time after which a process counts as dead, TICK changes that between two looks for events.
"""

import os
import time
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.orm import Session

from jobs import attempt as attempts
from jobs import housekeeping, runner
from jobs.attempt import Attempt
from jobs.process import run
from jobs.subscriptions import SUBSCRIPTIONS
from jobs.task import task

_ADD = text("INSERT INTO effects (name, pid) VALUES (:name, :pid)")


def _add(session: Session, name: str) -> None:
    session.execute(_ADD, {"name": name, "pid": os.getpid()})


def _wait_for_go(name: str = "go") -> None:
    folder = Path(os.environ["EXAMPLES"])
    (folder / f"waits.{os.getpid()}").touch()
    while not (folder / name).exists():
        time.sleep(0.02)


@task()
def add_one(attempt: Attempt, session: Session, *, name: str) -> None:
    _add(session, name)


@task()
def add_when_told(attempt: Attempt, session: Session, *, name: str) -> None:
    _wait_for_go()
    _add(session, name)


@task()
def add_many(attempt: Attempt, session: Session, *, name: str, count: int, seconds: float = 0.0) -> bool:
    done = attempt.progress(session)
    _add(session, f"{name} {done}")
    attempt.note_progress(session, done + 1, count)
    time.sleep(seconds)
    return done + 1 < count


@task()
def count_up(attempt: Attempt, session: Session) -> None:
    session.execute(text("UPDATE effects SET name = (name::int + 1)::text WHERE id = 1"))
    _wait_for_go()


@task(tries=2)
def fail(attempt: Attempt, session: Session, *, name: str) -> None:
    _add(session, name)
    raise ValueError("it does not work")


@task(tries=20)
def fail_once(attempt: Attempt, session: Session, *, name: str) -> None:
    if attempt.number == 0:
        raise ValueError("not at once")
    _add(session, name)


@task()
async def outgoing(attempt: Attempt, *, name: str) -> None:
    await attempt.transact(lambda session: _add(session, f"{name} begins"))
    await attempt.finish(lambda session: _add(session, f"{name} ends"))


@task()
def note_event(attempt: Attempt, session: Session, *, event_id: str, sequence: int) -> None:
    _add(session, f"event {event_id} {sequence}")


@task(schedule=os.environ.get("EXAMPLE_SCHEDULE", "0 0 1 1 *"))
def now_and_then(attempt: Attempt, session: Session) -> None:
    _add(session, "now and then")


@task(tries=2)
def say_unstorable(attempt: Attempt, session: Session) -> None:
    raise ValueError("bytes \udc80 and \x00, with password=hunter2")


@task(tries=2)
def divide(attempt: Attempt, session: Session) -> None:
    session.execute(text("SELECT 1 / 0 AS named_in_the_statement"))


@task(tries=2)
def wait_too_long(attempt: Attempt, session: Session) -> None:
    session.execute(text("SET LOCAL statement_timeout = '100ms'"))
    session.execute(text("SELECT pg_sleep(60)"))


@task(tries=2)
def rest(attempt: Attempt, session: Session) -> None:
    time.sleep(float(os.environ["IDLE_SECONDS"]) + 1)
    session.execute(text("SELECT 1"))


@task(tries=1)
def hang(attempt: Attempt, session: Session) -> None:
    while True:
        time.sleep(1)


@task(tries=2)
def leave_in_a_thread(attempt: Attempt, session: Session) -> None:
    raise SystemExit(3)


@task(tries=2)
async def leave(attempt: Attempt) -> None:
    raise SystemExit(3)


SUBSCRIPTIONS["note_event"] = ("order.*", "stock.low")

if __name__ == "__main__":
    housekeeping.DEAD_SECONDS = float(os.environ.get("DEAD_AFTER", housekeeping.DEAD_SECONDS))
    housekeeping.TICK_SECONDS = float(os.environ.get("TICK", housekeeping.TICK_SECONDS))
    housekeeping.HEARTBEAT_SECONDS = min(housekeeping.HEARTBEAT_SECONDS, housekeeping.DEAD_SECONDS / 5)
    housekeeping.REAP_SECONDS = min(housekeeping.REAP_SECONDS, housekeeping.DEAD_SECONDS / 5)
    attempts.IDLE_SECONDS = int(os.environ.get("IDLE_SECONDS", attempts.IDLE_SECONDS))
    runner.LONGEST_SECONDS = float(os.environ.get("LONGEST_SECONDS", runner.LONGEST_SECONDS))
    run()
    # As in scripts/worker.py: a database thread may still wait.
    os._exit(0)
