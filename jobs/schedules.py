"""Schedules: each due time of a task makes one job, over all processes, by the clock of the database.

The next time is in the database, and moves with the same statement that defers the job. After a gap, in which no process
ran, there is one job for all the times that were missed. A clock that is set back makes nothing due a second time.
"""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

from croniter import croniter

from infrastructure.database.engine import Database
from infrastructure.database.sqlstate import StatementRefused
from jobs.task import BY_OPERATOR, Task
from repositories.job_sources import DECLARE, FIRE, NOW, SCHEDULES, SET_BACK

# A time that lies so much further than the next one was set by a clock that was wrong then.
_WRONG = timedelta(days=1)


class Schedules:
    """The schedules of the tasks of one background process."""

    def __init__(self, database: Database, tasks: dict[str, Task]) -> None:
        self._pool = database.write_pool
        schedules = {task.name: task.schedule for task in tasks.values() if task.schedule is not None}
        self._crons = {task: cron for task, cron in schedules.items() if cron != BY_OPERATOR}
        self._by_operator = schedules.keys() - self._crons.keys()

    async def declare(self) -> None:
        """Write down the schedules that are new or have changed. Raises `DatabaseUnavailable`."""
        now = (await self._pool.execute(NOW, {}))[0][0]
        for task, cron in self._crons.items():
            await self._pool.execute(DECLARE, {"task": task, "cron": cron, "due_at": next_time(cron, now)})

    async def fire(self) -> int:
        """Defer the jobs that are due; how many. Raises `DatabaseUnavailable`."""
        fired = 0
        for task, cron, due_at, now in await self._pool.execute(SCHEDULES, {}):
            # A schedule of another release is that one's affair.
            if self._crons.get(task) != cron and task not in self._by_operator:
                continue
            next_at = next_time(cron, now)
            change = {"task": task, "due_at": due_at, "next_at": next_at}
            if due_at <= now:
                # Another process is just at it.
                with suppress(StatementRefused):
                    fired += len(await self._pool.execute(FIRE, change))
            elif due_at > next_at + _WRONG:
                await self._pool.execute(SET_BACK, change)
        return fired


def next_time(cron: str, after: datetime) -> datetime:
    """The first time of a cron expression, in UTC, after another time."""
    found: datetime = croniter(cron, after.astimezone(UTC)).get_next(datetime)
    return found
