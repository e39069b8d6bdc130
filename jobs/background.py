"""The background process: a worker of procrastinate, the housekeeping and the relay to the broker beside it, and what they need.

It waits for a database that is away or not migrated yet, and begins again, under another number, after every failure.
"""

import asyncio
import logging
from functools import partial
from typing import Any

import procrastinate
from procrastinate.exceptions import ConnectorException
from procrastinate.job_context import JobContext
from procrastinate.jobs import Job, Status
from procrastinate.manager import JobManager

from config.database import database_uri
from config.redis_config import redis_uri
from config.settings import Settings
from events.news import News
from events.webhooks import Webhooks
from infrastructure.cache.epoch import CacheEpoch
from infrastructure.cache.gateway import RedisGateway
from infrastructure.cache.publisher import NEWS
from infrastructure.cache.seal import secret_of
from infrastructure.database.change_listener import ANNOUNCEMENT
from infrastructure.database.connection_limit import background_threads
from infrastructure.database.engine import Database
from infrastructure.database.sqlstate import StatementRefused
from infrastructure.observability.metrics import Metrics
from jobs.broker_relay import BrokerRelay
from jobs.connector import ShopConnector
from jobs.housekeeping import DATABASE_ERRORS, Housekeeping, WorkerIsForgotten
from jobs.order_notifications import OrderNotifications
from jobs.runner import JobRunner
from jobs.schedules import Schedules
from jobs.task import TASKS, load_tasks
from services.cache_service import CacheService
from services.errors import Unavailable
from services.executor import Executor

log = logging.getLogger("shop.jobs")

# A statement of a job may take so long; one of a request may not.
STATEMENT_SECONDS = 300.0
_POLL_SECONDS = 1.0
# Who has worked for so long has no trouble any more: what fails again and again is said once.
_SETTLED_SECONDS = 5.0
# The library's own heartbeat ends at the first failure, and jobs are not interrupted: `Housekeeping` and `Attempt` do both.
_NEVER = 10.0**8


class _Manager(JobManager):
    """The library's statements, except for the end of a job, which is the runner's."""

    def __init__(self, connector: ShopConnector, housekeeping: Housekeeping) -> None:
        super().__init__(connector)
        self._housekeeping = housekeeping

    async def register_worker(self) -> int:
        self._housekeeping.worker_id = await super().register_worker()
        return self._housekeeping.worker_id

    async def finish_job(self, job: Job, status: Status, delete_job: bool) -> None:
        """The runner has said already what becomes of the job."""


class BackgroundProcess:
    """Everything of one background process. The constructor opens nothing."""

    def __init__(self, settings: Settings) -> None:
        load_tasks()
        # The library says at length what the shop says itself.
        logging.getLogger("procrastinate").setLevel(logging.WARNING)
        settings = settings.model_copy(
            update={
                "db_pool_size": background_threads(settings.db_pool_size),
                "db_statement_timeout": STATEMENT_SECONDS,
            }
        )
        self._drain_seconds = settings.drain_seconds
        # Each job that is under way has a database thread.
        self._concurrency = settings.db_pool_size
        self._database = Database(database_uri(settings), settings)
        self._gateway = RedisGateway(redis_uri(settings), 4, prefix=settings.redis_prefix)
        secret = secret_of(database_uri(settings))
        self._cache = CacheService(self._gateway, settings.redis_cache_ttl, secret, CacheEpoch(), self._announce)
        executor = Executor(self._database, self._cache, Metrics())
        self._runner = JobRunner(self._database, executor)
        self._webhooks = Webhooks(self._database, executor, settings)
        self._connector = ShopConnector(self._database.url)
        news = partial(News, redis_uri(settings), self._gateway.key(NEWS))
        self._schedules = Schedules(self._database, TASKS)
        self._housekeeping = Housekeeping(
            self._database, self._schedules, news, self._connector.wake, self._wake_readers
        )
        url = settings.rabbitmq_url
        self._relay = BrokerRelay(settings, url, executor) if url is not None else None
        self._notifications = (
            OrderNotifications(settings, url, executor) if url is not None and settings.notify_from == "amqp" else None
        )
        self._app = self._library()
        self._has_trouble = False

    async def run(self, stopping: asyncio.Event) -> None:
        """Work until `stopping` is set, and then no longer than the drain for what is under way."""
        working = asyncio.create_task(self._work())
        await stopping.wait()
        self._runner.end()
        working.cancel()
        await asyncio.gather(working, self._webhooks.close(self._drain_seconds), return_exceptions=True)
        await self._connector.close_async()
        await self._cache.close()
        await self._gateway.close()
        self._database.close_pools()

    def _wake_readers(self) -> None:
        self._webhooks.wake()
        if self._relay is not None:
            self._relay.wake()

    async def _work(self) -> None:
        while True:
            try:
                await self._wait_for_schema()
                await self._schedules.declare()
                await self._work_as_one()
            except WorkerIsForgotten:
                log.warning("This process was not heard of for so long that others took over its jobs: it begins again")
            except Exception as error:
                if not self._has_trouble:
                    _say_trouble(error)
                self._has_trouble = True
            await asyncio.sleep(_POLL_SECONDS)

    def _note_settled(self) -> None:
        if self._has_trouble:
            log.info("Jobs are done again")
        self._has_trouble = False

    async def _work_as_one(self) -> None:
        """Be one worker, until something is wrong."""
        worker: asyncio.Task[None] = asyncio.create_task(
            self._app.run_worker_async(
                # Each task has a queue of its own: what this release does not know is left to those who do.
                queues=list(TASKS),
                concurrency=self._concurrency,
                fetch_job_polling_interval=_POLL_SECONDS,
                abort_job_polling_interval=_NEVER,
                update_heartbeat_interval=_NEVER,
                stalled_worker_timeout=_NEVER,
                shutdown_graceful_timeout=self._drain_seconds,
                install_signal_handlers=False,
            )
        )
        beside = (self._housekeeping.run(), self._webhooks.run())
        parts, first = {worker, *map(asyncio.create_task, beside)}, asyncio.FIRST_COMPLETED
        for broker_part in (self._relay, self._notifications):
            if broker_part is not None:
                parts.add(asyncio.create_task(broker_part.run()))
        try:
            done, _ = await asyncio.wait(parts, timeout=_SETTLED_SECONDS, return_when=first)
            if not done:
                self._note_settled()
                done, _ = await asyncio.wait(parts, return_when=first)
            for task in done:
                task.result()
        finally:
            for task in parts:
                task.cancel()
            await asyncio.gather(*parts, return_exceptions=True)
            self._housekeeping.worker_id = None

    async def _wait_for_schema(self) -> None:
        """Wait until whoever migrates the database has done so."""
        is_told = False
        while True:
            schema, _ = await self._database.state()
            if schema is not None and schema.has_every_migration:
                return
            if not is_told:
                log.warning("Jobs wait: the database lacks migrations")
            is_told = True
            await asyncio.sleep(_POLL_SECONDS)

    def _library(self) -> procrastinate.App:
        app = procrastinate.App(connector=self._connector)
        app.job_manager = _Manager(self._connector, self._housekeeping)
        for name in TASKS:
            app.task(name=name, pass_context=True)(self._run_job)
        return app

    async def _run_job(self, context: JobContext, /, **args: Any) -> None:
        job = context.job
        assert job.id is not None
        await self._runner.run(TASKS[job.task_name], job.id, job.attempts, args)

    async def _announce(self) -> None:
        """Have the workers of every launcher make their cached responses stale."""
        await self._database.write_pool.run(ANNOUNCEMENT, {})


def _say_trouble(error: Exception) -> None:
    if isinstance(error, StatementRefused) and error.code is not None:
        log.warning("Jobs wait: PostgreSQL refuses a statement (SQLSTATE %s)", error.code)
    elif isinstance(error, (*DATABASE_ERRORS, ConnectorException, Unavailable)):
        log.warning("Jobs wait: the database is away (%s)", str(error).partition("\n")[0])
    else:
        log.error("Jobs wait: the background process begins again and again", exc_info=error)
