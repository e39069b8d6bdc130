"""Housekeeping of the queue: heartbeats, the relay of events, schedules, and the reaper for jobs of dead processes.

Every process does all of it; the statements see to it that it makes no difference how many there are.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from events.news import News
from events.sequencer import Sequencer
from infrastructure.database.engine import Database
from infrastructure.database.sqlstate import DatabaseUnavailable, StatementRefused
from infrastructure.observability.background_memory import note_memory
from jobs.runner import failure_of, report
from jobs.schedules import Schedules
from jobs.subscriptions import READERS, SUBSCRIPTIONS, patterns_of
from jobs.task import DEFAULT_TRIES, TASKS
from repositories.job_queue import FAIL, FORGET_WORKERS, HEARTBEAT, STALLED
from repositories.job_sources import RELAY, RELAY_BATCH

log = logging.getLogger("shop.jobs")

TICK_SECONDS = 1.0
_REST_SECONDS = 0.1
HEARTBEAT_SECONDS = 5.0
# A process that was not heard of for so long is dead. Its jobs are taken over some seconds later.
DEAD_SECONDS = 30.0
# Longer than any statement on its way may take.
_FORGOTTEN_SECONDS = 600.0
REAP_SECONDS = 5.0


class WorkerIsForgotten(Exception):
    """The others have taken this process for dead: it has to begin again under another number."""


class Housekeeping:
    """What one background process does for the queue, for as long as it is the worker `worker_id`."""

    def __init__(
        self,
        database: Database,
        schedules: Schedules,
        news: Callable[[], News],
        on_jobs: Callable[[], None],
        on_events: Callable[[], None],
    ) -> None:
        self._news = news
        self._metrics_folder = database.settings.metrics_dir
        self._pool, self._schedules = database.write_pool, schedules
        # Called when there may be new jobs, and when events may have got their places.
        self._on_jobs, self._on_events = on_jobs, on_events
        self.worker_id: int | None = None
        self._sequencer = Sequencer(self._pool.execute)
        self._patterns, self._tasks = patterns_of(SUBSCRIPTIONS)
        self._patterns_of_readers, self._readers = patterns_of(READERS)

    async def run(self) -> None:
        """Keep house until cancelled. Raises `WorkerIsForgotten`, and what is wrong with the database."""
        async with self._news() as news:
            await self._keep_house(news)

    async def _keep_house(self, news: News) -> None:
        clock = asyncio.get_running_loop().time
        beat_at = reap_at = clock()
        while True:
            if clock() >= beat_at:
                await self._beat()
                note_memory(self._metrics_folder)
                beat_at = clock() + HEARTBEAT_SECONDS
            if clock() >= reap_at:
                await self.reap()
                reap_at = clock() + REAP_SECONDS
            if await self._schedules.fire() + await self.relay():
                self._on_jobs()
            self._on_events()
            # More of them may come meanwhile.
            await asyncio.sleep(_REST_SECONDS)
            await news.wait(TICK_SECONDS)

    async def _beat(self) -> None:
        if self.worker_id is not None and not await self._pool.execute(HEARTBEAT, {"worker": self.worker_id}):
            raise WorkerIsForgotten

    async def relay(self) -> int:
        """Make jobs of the events that are new; how many."""
        made = 0
        while True:
            # Events have to have their places before they are read.
            await self._sequencer.run()
            parameters = {
                "limit": RELAY_BATCH,
                "patterns": self._patterns,
                "tasks": self._tasks,
                "patterns_of_readers": self._patterns_of_readers,
                "readers": self._readers,
            }
            events, jobs = (await self._pool.execute(RELAY, parameters))[0]
            made += jobs or 0
            if events < RELAY_BATCH:
                return made

    async def reap(self) -> None:
        """Give jobs of dead processes to the living; a job that kills its processes is dead itself in the end."""
        for job_id, number, name in await self._pool.execute(STALLED, {"seconds": DEAD_SECONDS}):
            log.warning("Job %d (%s) is taken over: its process is not heard of any more", job_id, name)
            tries = TASKS[name].tries if name in TASKS else DEFAULT_TRIES
            failure = failure_of(job_id, number, "The process died, or was frozen", tries, died=True)
            # One that holds the row for a moment has its turn later.
            with suppress(StatementRefused):
                report(await self._pool.execute(FAIL, failure), name, failure)
                self._on_jobs()
        await self._pool.execute(FORGET_WORKERS, {"seconds": _FORGOTTEN_SECONDS})


DATABASE_ERRORS = (DatabaseUnavailable, StatementRefused, OSError)
