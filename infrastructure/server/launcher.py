"""Launcher: starts the shop and stops it. `main.py` and `run_production.py` both call `main` here.

The order: bind the port, start the embedded servers, import the application while they start, migrate, fork the
workers, and print the addresses at the first healthy response. SIGTERM, Ctrl-C and a closed terminal undo it in the
opposite order. A start that fails is one line on standard error and an exit code of 1.
"""

import argparse
import gc
import logging
import socket
import sys
import time
from functools import partial

from config.env_file import env_file_warnings
from config.settings import Settings, SettingsError, env_file, get_settings
from infrastructure.embedded.server_watch import ServerWatch
from infrastructure.embedded.servers import (
    EmbeddedServerError,
    ServerUrls,
    data_folder,
    embedded_urls,
    never,
    running_servers,
)
from infrastructure.observability.metrics_folder import metrics_folder
from infrastructure.server.background import BackgroundProcesses
from infrastructure.server.connection_guard import guard_of
from infrastructure.server.listener import bound_socket, listen
from infrastructure.server.orphans import reap_orphans
from infrastructure.server.startup_banner import drain_notice, say, shop_address
from infrastructure.server.startup_probe import StartupProbe
from infrastructure.server.stop_requests import StopRequests
from infrastructure.server.supervisor import Supervisor
from infrastructure.server.temporary_folder import find_temporary_folder
from infrastructure.server.worker import GRACEFUL_SECONDS, ApplicationFailed, load, serve, uvicorn_config
from infrastructure.server.worker_environment import export_settings, with_secret_keys

log = logging.getLogger("shop.launcher")

_POLL_SECONDS = 0.05
_MIGRATION_ATTEMPTS = 3


def _database_errors() -> tuple[type[Exception], ...]:
    """The errors of PostgreSQL and of migrations that prevent a start.

    SQLAlchemy and Alembic are imported only where needed: a start that is refused before is refused at once.
    """
    from alembic.util import CommandError
    from sqlalchemy.exc import SQLAlchemyError

    from infrastructure.database.suitability import UnsuitableDatabase
    from infrastructure.server.production_checks import DatabaseAway

    return DatabaseAway, UnsuitableDatabase, SQLAlchemyError, CommandError


def main(*, production: bool) -> int:
    """Run the shop with the settings of the environment until a signal ends it; returns the exit code."""
    parser = argparse.ArgumentParser(
        description="Run the shop. Its settings are environment variables, see .env.example."
    )
    if not production:
        parser.add_argument("--demo", action="store_true", help="load a small catalog once the shop answers")
    arguments = parser.parse_args()
    try:
        settings = get_settings()
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    for warning in env_file_warnings(env_file(), settings):
        sys.stderr.write(f"Warning: {warning}\n")
    return launch(settings, production=production, demo=getattr(arguments, "demo", False))


def launch(settings: Settings, *, production: bool, demo: bool = False) -> int:
    """Run the shop until a signal ends it; returns the exit code.

    `production` requires outside servers unless EMBEDDED is true. `demo` loads a small catalog at the start.
    """
    stop = StopRequests()
    with stop.handling_signals():
        try:
            _Launch(_with_defaults(settings, production), production, demo, stop).run()
        except (SettingsError, EmbeddedServerError, ApplicationFailed) as error:
            problem = str(error)
        except _database_errors() as error:
            from infrastructure.server.production_checks import first_line

            problem = first_line(error)
        else:
            return 0
        if stop.requested():
            return 0
    sys.stderr.write(f"{problem}\n")
    return 1


def _with_defaults(settings: Settings, production: bool) -> Settings:
    """The settings with the defaults of this mode. Raises `SettingsError` for settings that it does not allow."""
    if production or settings.outside_database_url is not None or settings.outside_redis_url is not None:
        from infrastructure.server.production_checks import check_database_url, check_redis_url, refuse_weak_password

        check_database_url(settings)
        check_redis_url(settings)
    if not production:
        return settings.model_copy(update={"api_host": settings.api_host or "127.0.0.1"})
    settings = settings.model_copy(
        update={
            "api_host": settings.api_host or "0.0.0.0",  # noqa: S104 (meant)
            "embedded": bool(settings.embedded),
            "auth": settings.auth or "auth" not in settings.model_fields_set,
        }
    )
    refuse_weak_password(settings)
    if settings.auth and not settings.secret_keys and settings.outside_database_url is not None:
        raise SettingsError(
            "SECRET_KEYS is not set, which AUTH=on needs: set it to a secret of 32 bytes or more, the same for every "
            'process; python -c "import secrets; print(secrets.token_urlsafe(32))" makes one'
        )
    missing = [
        *(["PostgreSQL"] if settings.outside_database_url is None else []),
        *(["Redis"] if settings.redis_enabled and settings.outside_redis_url is None else []),
    ]
    if missing and settings.embedded:
        _say(f"EMBEDDED=true: this process itself runs what is not named, {' and '.join(missing)}")
    elif missing == ["Redis"]:
        _say("No Redis is named: running without a cache, rate limits are counted per worker")
    return settings


class _Launch:
    """One run of the shop, from the bound port to the end of the last process."""

    def __init__(self, settings: Settings, production: bool, demo: bool, stop: StopRequests) -> None:
        self._settings, self._production, self._demo, self._stop = settings, production, demo, stop

    def run(self) -> None:
        embedded = self._settings.outside_database_url is None
        find_temporary_folder(data_folder(self._settings) if embedded else None)
        with (
            bound_socket(self._settings) as listener,
            metrics_folder(self._settings.metrics_dir) as folder,
        ):
            self._settings = with_secret_keys(self._settings, _say)
            export_settings(
                self._settings,
                embedded_urls(self._settings),
                address=shop_address(listener),
                metrics=folder,
                production=self._production,
            )
            if self._settings.reload:
                self._serve_reloading(listener)
            else:
                self._serve(listener)

    def _serve(self, listener: socket.socket) -> None:
        # Before the application is assembled, whose pools have to fit.
        self._fit_to_database()
        if self._stop.requested():
            return
        settings = get_settings()
        config = uvicorn_config(settings, guard_of(settings))
        if (room := config.limit_concurrency or 0) < settings.limit_concurrency:
            sys.stderr.write(
                f"Warning: the limit of open files (ulimit -n) leaves room for {room} connections per worker; "
                f"LIMIT_CONCURRENCY is {settings.limit_concurrency}\n"
            )
        with running_servers(
            self._settings, owner=True, stopping=self._stop.requested, meanwhile=partial(load, config), say=_say
        ) as urls:
            watch = self._prepare_database(urls)
            if self._stop.requested():
                return
            listen(self._settings, listener)
            background = BackgroundProcesses(self._settings.background_workers)
            supervisor = Supervisor(
                self._settings.uvicorn_workers,
                partial(serve, config, max_requests=settings.limit_max_requests),
                listener,
            )
            with watch.watching():
                self._supervise(supervisor, background, watch, listener)

    def _supervise(
        self, supervisor: Supervisor, background: BackgroundProcesses, watch: ServerWatch, listener: socket.socket
    ) -> None:
        try:
            with StartupProbe(self._settings, listener, demo=self._demo, banner=not self._production) as probe:
                while not self._stop.requested():
                    supervisor.tick()
                    if probe.is_over:  # The shop answers no later for it.
                        background.tick()
                    watch.tick()
                    probe.poll()
                    reap_orphans({*supervisor.workers(), *background.pids(), *watch.pids(), *probe.pids()})
                    time.sleep(_POLL_SECONDS)
        finally:
            if self._stop.requested():
                _say(drain_notice(self._settings.drain_seconds, GRACEFUL_SECONDS))
            background.begin_to_stop()
            supervisor.stop(self._settings.drain_seconds, self._stop.urgent, partial(_tend, watch))
            background.stop(self._settings.drain_seconds, self._stop.urgent, partial(_tend, watch))

    def _serve_reloading(self, listener: socket.socket) -> None:
        from infrastructure.server.reloader import serve_with_reload

        gc.enable()
        with running_servers(self._settings, owner=True, stopping=self._stop.requested, say=_say) as urls:
            watch = self._prepare_database(urls)
            if self._stop.requested():
                return
            listen(self._settings, listener)

            background = BackgroundProcesses(self._settings.background_workers)

            def meanwhile() -> None:
                probe.poll()
                if probe.is_over:
                    background.tick()
                watch.tick()

            def stop_background() -> None:
                background.begin_to_stop()
                background.stop(self._settings.drain_seconds, never)

            with watch.watching(), StartupProbe(self._settings, listener, demo=self._demo, banner=True) as probe:
                try:
                    serve_with_reload(self._settings, listener, meanwhile, stop_background)
                finally:
                    stop_background()

    def _fit_to_database(self) -> None:
        """Let workers and pools be no larger than PostgreSQL has connections for. Waits for an outside one."""
        if self._settings.outside_database_url is not None:
            from infrastructure.server.fitted_sizes import fit_to_database
            from infrastructure.server.production_checks import DATABASE_WAIT_SECONDS

            seconds = DATABASE_WAIT_SECONDS if self._production else 0.0
            url = self._settings.outside_database_url
            self._settings = fit_to_database(self._settings, url, seconds, self._stop.requested)
        elif self._settings.model_fields_set & {"uvicorn_workers", "db_pool_size"}:
            # What nobody has set fits.
            from infrastructure.server.fitted_sizes import fit_to_embedded

            self._settings = fit_to_embedded(self._settings)

    def _prepare_database(self, urls: ServerUrls) -> ServerWatch:
        """Wait for an outside PostgreSQL and migrate, unless a signal asks to stop.

        Workers are forked by a process of one thread, which this has again at the end. An embedded PostgreSQL that dies
        meanwhile is started again, and the migration with it. Returns the watch over the embedded servers.
        """
        from sqlalchemy.exc import OperationalError

        from infrastructure.database.migrations import migrate
        from infrastructure.database.shop_settings import settle_shop
        from infrastructure.database.stoppable import Cancellation, run_stoppable
        from infrastructure.server.production_checks import DATABASE_WAIT_SECONDS, wait_for_database

        cancellation = Cancellation()

        def prepare() -> None:
            if self._settings.outside_database_url is not None:
                seconds = DATABASE_WAIT_SECONDS if self._production else 0.0
                wait_for_database(urls.database_url, seconds, self._stop.requested)
            if not self._stop.requested():
                migrate(urls.database_url, cancellation=cancellation)
                settle_shop(
                    urls.database_url,
                    currency=self._settings.currency,
                    time_zone=self._settings.shop_timezone,
                    country=self._settings.shop_country,
                    cancellation=cancellation,
                )

        watch = ServerWatch(self._settings)
        for attempts_left in reversed(range(_MIGRATION_ATTEMPTS)):
            try:
                run_stoppable(prepare, cancellation, self._stop.requested)
                break
            except OperationalError:
                if self._settings.outside_database_url is not None or self._stop.requested() or not attempts_left:
                    raise
            with watch.watching():
                watch.tick()
                while watch.is_reviving and not self._stop.requested():
                    watch.tick()
                    time.sleep(_POLL_SECONDS)
        return watch


def _tend(watch: ServerWatch) -> None:
    """Have the servers alive while requests in flight finish; one that does not start again is no reason to end them."""
    try:
        watch.tick()
    except EmbeddedServerError as error:
        log.error("%s", error)


def _say(line: str) -> None:
    say(f"{line}\n")
