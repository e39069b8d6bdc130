"""Fencing: one attempt at a job, whose transactions count only while nobody else has taken the job over."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from infrastructure.database.sqlstate import is_cut_off, sqlstate
from jobs.failures import StepRested
from repositories.job_queue import JobQueue
from services.executor import Executor

T = TypeVar("T")

# A transaction of a process that is frozen ends by itself, with its locks, before another one takes the job over.
IDLE_SECONDS = 20
_LIMIT_IDLENESS = text("SELECT set_config('idle_in_transaction_session_timeout', :limit, true)")


class AttemptIsOver(Exception):
    """The job is not this attempt's any more: the transaction was rolled back, and there is nothing left to do."""


class Attempt:
    """One attempt at a job. A task gets it as its first argument."""

    def __init__(self, executor: Executor, job_id: int, number: int) -> None:
        self._executor = executor
        self.job_id, self.number = job_id, number
        # Set when the process ends, or when somebody canceled the job: the task goes no further than its next step.
        self.is_to_end = threading.Event()
        self.is_finished = False

    async def transact(self, work: Callable[[Session], T]) -> T:
        """The result of `work`, committed if this attempt is still the current one. Raises `AttemptIsOver` if not."""
        return await self._executor.transact(lambda session: self._fenced(session, work, lambda result: False)[0])

    async def finish(self, work: Callable[[Session], T]) -> T:
        """As `transact`, and the job is done with the same commit."""
        return (await self.step(work, lambda result: True))[0]

    async def step(self, work: Callable[[Session], T], is_last: Callable[[T], bool]) -> tuple[T, bool]:
        """As `transact`; the job is done with the same commit if `is_last` says so of the result. Whether it is."""
        result, is_done = await self._executor.transact(lambda session: self._fenced(session, work, is_last))
        self.is_finished = self.is_finished or is_done
        return result, is_done

    def note_progress(self, session: Session, done: int, total: int | None = None) -> None:
        """Write down, in this transaction, how far the job is. The next attempt finds it."""
        self._queue(session).note_progress(done, total)

    def progress(self, session: Session) -> int:
        """How far the job is; 0 where nobody has noted anything."""
        progress = self._queue(session).progress()
        return 0 if progress is None else progress[0]

    def _fenced(self, session: Session, work: Callable[[Session], T], is_last: Callable[[T], bool]) -> tuple[T, bool]:
        session.execute(_LIMIT_IDLENESS, {"limit": f"{IDLE_SECONDS}s"})
        began_at = time.monotonic()
        try:
            result = work(session)
            session.flush()
        except DBAPIError as error:
            if is_cut_off(sqlstate(error)) and time.monotonic() - began_at > IDLE_SECONDS:
                raise StepRested(f"A step must not rest for {IDLE_SECONDS} s inside a transaction") from error
            raise
        except SystemExit as error:
            # It would end every event loop on its way.
            raise RuntimeError(f"The task would end the process: {error}") from error
        # At the end, so that nobody waits for the row meanwhile, and as the last thing that the transaction does.
        queue = self._queue(session)
        held = queue.hold()
        if held is None:
            raise AttemptIsOver
        if is_done := is_last(result):
            queue.delete()
        elif held.is_to_cancel:
            self.is_to_end.set()
        return result, is_done

    def _queue(self, session: Session) -> JobQueue:
        return JobQueue(session, self.job_id, self.number)
