"""Runs one attempt at a job: the steps of its task, and what becomes of the job at the end."""

import asyncio
import faulthandler
import logging
import os
import signal
from collections.abc import Awaitable, Sequence
from functools import partial
from typing import Any, TypeVar

from infrastructure.database.engine import Database
from infrastructure.database.prepared import Prepared, Row
from infrastructure.database.sqlstate import DatabaseUnavailable, StatementRefused
from jobs.attempt import Attempt, AttemptIsOver
from jobs.failures import TaskHangs, describe, is_of_task
from jobs.task import Task
from repositories.job_queue import FAIL, RELEASE
from services.executor import Executor

log = logging.getLogger("shop.jobs")

T = TypeVar("T")

_PAUSE_SECONDS = 1.0
# A step may take so long, and a task that is a coroutine as a whole. Each statement has a limit of its own.
LONGEST_SECONDS = 3600.0


class JobRunner:
    """Runs attempts with the database and the cache of one background process."""

    def __init__(self, database: Database, executor: Executor) -> None:
        self._database, self._executor = database, executor
        self._running: set[Attempt] = set()
        self._is_ending = False

    def end(self) -> None:
        """Let running tasks go no further than their next step: another process goes on with their jobs."""
        self._is_ending = True
        for attempt in self._running:
            attempt.is_to_end.set()

    async def run(self, task: Task, job_id: int, number: int, args: dict[str, Any]) -> None:
        """Run the attempt. Whatever the task does, this raises nothing but the cancellation of the caller."""
        attempt = Attempt(self._executor, job_id, number)
        if self._is_ending:
            attempt.is_to_end.set()
        self._running.add(attempt)
        try:
            await self._run(task, attempt, args)
        except asyncio.CancelledError:
            await self.release(job_id, number)
            raise
        finally:
            self._running.discard(attempt)

    async def _run(self, task: Task, attempt: Attempt, args: dict[str, Any]) -> None:
        try:
            if task.is_async:
                await _in_time(task.function(attempt, **args))
            else:
                await self._step_by_step(task, attempt, args)
            if not attempt.is_finished and not attempt.is_to_end.is_set():
                await attempt.finish(lambda session: None)
        except AttemptIsOver:
            log.warning("Job %d (%s) was taken over by another process: nothing was changed", attempt.job_id, task.name)
        # A task that would end the process has failed.
        except (Exception, SystemExit) as error:
            if is_of_task(error):
                await self._failed(task, attempt, error)
                if isinstance(error, TaskHangs):
                    _leave(attempt, task)
            else:
                log.info("Job %d (%s) waits: the database is away", attempt.job_id, task.name)
                await self.release(attempt.job_id, attempt.number, _PAUSE_SECONDS)
        else:
            if attempt.is_finished:
                log.info("Job %d is done: %s", attempt.job_id, task.name)
            else:
                await self.release(attempt.job_id, attempt.number)

    async def _step_by_step(self, task: Task, attempt: Attempt, args: dict[str, Any]) -> None:
        step = partial(task.function, attempt, **args)
        while not attempt.is_to_end.is_set():
            _, is_done = await _in_time(attempt.step(step, lambda goes_on: not goes_on))
            if is_done:
                return

    async def _failed(self, task: Task, attempt: Attempt, error: BaseException) -> None:
        log.warning("Job %d failed: %s", attempt.job_id, task.name, exc_info=error)
        failure = failure_of(attempt.job_id, attempt.number, describe(error), task.tries)
        report(await self._settle(FAIL, failure), task.name, failure)

    async def release(self, job_id: int, number: int, seconds: float = 0.0) -> None:
        """Give the job back, for a later attempt."""
        await self._settle(RELEASE, {"job": job_id, "attempt": number, "seconds": seconds})

    async def _settle(self, statement: Prepared, parameters: dict[str, Any]) -> list[Row]:
        """The rows of the statement, which is repeated until it was executed. If it was already it does nothing more."""
        while True:
            try:
                return list(await self._database.write_pool.execute(statement, parameters))
            except (DatabaseUnavailable, StatementRefused, OSError):
                if self._is_ending:
                    log.debug("Another process takes over job %s when this one is missed", parameters["job"])
                    return []
                await asyncio.sleep(_PAUSE_SECONDS)


def failure_of(job_id: int, number: int, error: str, tries: int, *, died: bool = False) -> dict[str, Any]:
    """The parameters of `FAIL`."""
    return {"job": job_id, "attempt": number, "error": error, "tries": tries, "died": died}


def report(rows: Sequence[Row], task: str, failure: dict[str, Any]) -> None:
    """Say what `FAIL` has made of a job, if that was the end of it."""
    if rows and rows[0][0] == "failed":
        log.error("Job %d is dead after %d attempts: %s: %s", failure["job"], rows[0][1], task, failure["error"])


async def _in_time(work: Awaitable[T]) -> T:
    """The result of a step or a coroutine. Raises `TaskHangs` when it takes too long."""
    try:
        async with asyncio.timeout(LONGEST_SECONDS) as limit:
            return await work
    except TimeoutError:
        if limit.expired():
            raise TaskHangs(f"It has not ended within {LONGEST_SECONDS:.0f} s") from None
        raise


def _leave(attempt: Attempt, task: Task) -> None:
    """Drain, so that another process takes the place of this one: a thread that hangs cannot be ended otherwise."""
    log.error("Job %d (%s) hangs, and its process is replaced; where is on standard error", attempt.job_id, task.name)
    faulthandler.dump_traceback()
    os.kill(os.getpid(), signal.SIGTERM)
