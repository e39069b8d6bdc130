"""The resources of one worker process, opened at its start and closed at its end: database, Redis, cache, logs, metrics."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from functools import cache, partial

from fastapi import FastAPI

from application.drain import drain_on_sigterm
from application.startup_report import report_start
from config.database import database_uri
from config.logging_config import configure_logging, stop_logging
from config.redis_config import redis_uri
from config.release import RELEASE, build_of
from config.settings import Settings
from events.hub import EventHub
from events.news import News
from events.reader import EventReader
from infrastructure.cache.epoch import CacheEpoch
from infrastructure.cache.gateway import RedisGateway
from infrastructure.cache.publisher import NEWS
from infrastructure.cache.seal import secret_of
from infrastructure.database.change_listener import ANNOUNCEMENT, CATALOG, ChangeListener
from infrastructure.database.engine import Database
from infrastructure.database.migrations import migrate
from infrastructure.database.shop_settings import settle_shop
from infrastructure.database.sqlstate import DatabaseUnavailable
from infrastructure.embedded.servers import running_servers
from infrastructure.mail.way_out import mail_delivery
from infrastructure.observability.access_log import AccessLog
from infrastructure.observability.metric_families import (
    POOL_CONNECTIONS,
    POOL_IN_USE,
    POOL_SIZE,
    POOL_USED,
    POOL_WAITING,
    REDIS_SECONDS,
)
from infrastructure.observability.metrics import Metrics
from infrastructure.observability.tracing import Tracer, tracer_of
from infrastructure.server.file_limit import room_for_connections
from repositories.outgoing_mail import ANY_DUE, MAILS
from security.access_token import AccessTokens
from security.secret_keys import KeyRing, key_ring
from services.cache_service import CacheService
from services.checkout import CheckoutService
from services.checkout_groups import CheckoutGroups
from services.checkout_metrics import CheckoutMetrics
from services.executor import Executor
from services.identity.authenticator import Authenticator
from services.identity.context import AccountContext
from services.identity.key_uses import KeyUses
from services.identity.outgoing_mail import Mailer
from services.identity.password_threads import PasswordThreads
from services.identity.route_limits import RouteLimits

log = logging.getLogger("shop.lifecycle")

RECORD_SECONDS = 1.0
KEY_USE_SECONDS = 5.0


def _access_tokens(settings: Settings, key_ring: Callable[[], KeyRing]) -> AccessTokens:
    return AccessTokens(key_ring(), settings.access_token_minutes)


class AppResources:
    """The resources of one worker process. The constructor opens nothing; `running` opens and closes everything."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.draining = False
        self.database = Database(database_uri(settings), settings)
        self.metrics = Metrics()
        self.gateway = RedisGateway(redis_uri(settings), settings.redis_max_connections, prefix=settings.redis_prefix)
        self.gateway.on_exchange = lambda seconds: self.metrics.observe(REDIS_SECONDS, seconds=seconds)
        self.cache_epoch = CacheEpoch()
        secret = secret_of(database_uri(settings))
        self.cache = CacheService(
            self.gateway,
            settings.redis_cache_ttl,
            secret,
            self.cache_epoch,
            self._announce_changes,
        )
        self.executor = Executor(self.database, self.cache, self.metrics)
        self.events = EventReader(self.executor)
        self.event_hub = EventHub(
            self.events,
            partial(News, redis_uri(settings), self.gateway.key(NEWS)),
            streams=min(settings.limit_event_streams, settings.limit_concurrency // 2),
            waits=min(settings.limit_event_waits, settings.limit_concurrency // 2),
        )
        checkout_metrics = CheckoutMetrics(self.metrics, settings.currency)
        self.checkouts = CheckoutService(CheckoutGroups(self.executor, settings, checkout_metrics), checkout_metrics)
        self.route_limits = RouteLimits(self.gateway, settings, secret)
        self.key_ring = cache(partial(key_ring, settings))
        self.access_tokens = cache(partial(_access_tokens, settings, self.key_ring))
        self.key_uses = KeyUses(self.database)
        self.authenticator = Authenticator(self.executor, self.access_tokens, self.key_uses.note)
        self.mailer = Mailer(self.database, settings, self.key_ring, mail_delivery(settings))
        heard = {CATALOG: self.cache.invalidate_all, MAILS: self.mailer.wake}
        self.change_listener = ChangeListener(self.database.url, heard, self.database.ping, {MAILS: ANY_DUE})
        self.passwords = PasswordThreads()
        self.access_log = AccessLog() if settings.access_log else None
        self.tracer: Tracer | None = None

    @asynccontextmanager
    async def running(self, app: FastAPI) -> AsyncIterator[None]:
        """The lifespan of the application."""
        configure_logging(self.settings)
        # The launcher has done this; a bare uvicorn has not.
        room_for_connections(self.settings.limit_concurrency)
        with ExitStack() as stack:
            stack.enter_context(self.metrics.shared(self.settings.metrics_dir))
            stack.enter_context(self.cache_epoch.shared(self.settings.metrics_dir))
            self.tracer = stack.enter_context(tracer_of(self.settings, RELEASE))
            await asyncio.to_thread(self._attach_to_servers, stack)
            drain_on_sigterm(self, self.settings.drain_seconds)
            await self.cache.start()
            jobs = [
                self._record_state(),
                self._write_key_uses(),
                self.change_listener.listen(),
                self.mailer.run(),
            ]
            if self.metrics.number == 0:
                # Only the first worker reports it.
                url, auth, build = redis_uri(self.settings), self.settings.auth, build_of(self.settings)
                jobs.append(report_start(self.database, self.gateway, url, build, needs_administrator=auth))
            background = [asyncio.create_task(job) for job in jobs]
            try:
                yield
            finally:
                for task in background:
                    task.cancel()
                await asyncio.gather(*background, return_exceptions=True)
                await self.event_hub.close()
                await self.cache.close()
                await self.gateway.close()
                self.passwords.close()
                self.database.close_pools()
                await asyncio.to_thread(self.database.close)
                if self.access_log is not None:
                    self.access_log.close()
        stop_logging()

    def end_waits(self) -> None:
        """Answer those who wait for events, because this worker is about to stop."""
        self.event_hub.drain()

    @property
    def accounts(self) -> AccountContext:
        """What the services of accounts need."""
        return AccountContext(
            self.settings,
            self.executor,
            self.authenticator,
            self.passwords,
            self.route_limits,
            self.access_tokens,
            self.key_ring,
        )

    def _attach_to_servers(self, stack: ExitStack) -> None:
        # The launcher passes the URLs of its servers; only a bare `uvicorn main:app` without outside ones starts its own.
        if self.settings.outside_database_url is None:
            servers = stack.enter_context(running_servers(self.settings))
            migrate(servers.database_url)
            settle_shop(
                servers.database_url,
                currency=self.settings.currency,
                time_zone=self.settings.shop_timezone,
                country=self.settings.shop_country,
            )

    async def _announce_changes(self) -> None:
        """Have the workers of every launcher make their cached responses stale."""
        await self.database.write_pool.run(ANNOUNCEMENT, {})

    async def _write_key_uses(self) -> None:
        """Write down from time to time which API keys were used."""
        while True:
            await asyncio.sleep(KEY_USE_SECONDS)
            try:
                await self.key_uses.write()
            except DatabaseUnavailable:
                log.debug("The database is away: uses of API keys are written later")
            except Exception:
                log.exception("Uses of API keys could not be written")

    async def _record_state(self) -> None:
        """Keep the state of this worker up to date for the others: any of them may be asked for /metrics."""
        while True:
            self.record_state()
            await asyncio.sleep(RECORD_SECONDS)

    def record_state(self) -> None:
        """Write the state of this worker for /metrics."""
        usage = self.database.usage()
        self.metrics.record_memory()
        self.metrics.record(POOL_SIZE, sum(pool.size for pool in usage.values()))
        self.metrics.record(POOL_USED, sum(pool.in_use for pool in usage.values()))
        for name, pool in usage.items():
            self.metrics.record(POOL_CONNECTIONS, pool.size, name)
            self.metrics.record(POOL_IN_USE, pool.in_use, name)
            self.metrics.record(POOL_WAITING, pool.waiting, name)
