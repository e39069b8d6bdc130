"""Checks of outside servers at the start: the URLs are valid, the password is not weak, and PostgreSQL answers."""

import re
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import urlsplit

import psycopg2
from psycopg2.extensions import make_dsn
from redis import ConnectionPool
from redis.exceptions import RedisError
from sqlalchemy import create_engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import NullPool

from config.settings import Settings, SettingsError
from infrastructure.database.connection_options import connection_options
from infrastructure.database.database_url import target_of
from infrastructure.database.refusal import is_by_server, refusal_code
from infrastructure.database.sqlstate import CANCELED, sqlstate
from infrastructure.database.suitability import require_own_backend

DATABASE_WAIT_SECONDS = 60.0
_PAUSE_SECONDS = 0.5
_HIGHEST_PORT = 65_535
_REDIS_DATABASE = re.compile(r"(/\d*)?")
_DEFAULT_PASSWORD = "postgres"  # noqa: S105 (the one that is refused)

# SQLSTATE: invalid authorization, a database that does not exist, one that the role may not connect to, and options
# (`PGOPTIONS`, `PGTZ`) that the server does not know.
_FINAL_CODES = ("28", "3D", "42501", "42704", "22023")
_FINAL_MESSAGES = re.compile(
    r"authentication failed|no password supplied|no pg_hba\.conf entry|pg_hba\.conf rejects|not permitted to log in"
    r'|(role|database) ".*" does not exist|permission denied for database|definition of service ".*" not found'
)


class DatabaseAway(RuntimeError):
    """PostgreSQL did not answer in time; the message is one line."""


def check_database_url(settings: Settings) -> None:
    """Raise `SettingsError` when DATABASE_URL is not valid, or has options that the driver does not know."""
    try:
        url = make_url(settings.outside_database_url or "postgresql://")
        if url.port is not None and not 1 <= url.port <= _HIGHEST_PORT:
            raise ValueError("no port has this number")
        positional, named = url.get_dialect()().create_connect_args(url)
        # Raises for an option that PostgreSQL does not know, without a connection.
        make_dsn(*positional, **named)
    except (ArgumentError, ValueError, psycopg2.ProgrammingError):
        # The value is not shown: any part of it may be the password.
        raise SettingsError(
            "DATABASE_URL cannot be read: it may hold a PostgreSQL URL such as postgresql://user:password@host:5432/name"
        ) from None


def check_redis_url(settings: Settings) -> None:
    """Raise `SettingsError` when REDIS_URL is not valid, or has options that a connection does not know."""
    url = settings.outside_redis_url
    if url is None or not settings.redis_enabled:
        return
    try:
        if urlsplit(url).scheme != "unix" and not _REDIS_DATABASE.fullmatch(urlsplit(url).path):
            # The library would use database 0 instead.
            raise ValueError("the path is no number")
        # This opens no connection.
        ConnectionPool.from_url(url).make_connection()
    except (RedisError, TypeError, ValueError):
        raise SettingsError(
            "REDIS_URL cannot be read: it may hold a URL such as redis://:password@host:6379/0, rediss://… or unix:///path"
        ) from None


def refuse_weak_password(settings: Settings) -> None:
    """Raise `SettingsError` for an empty or default password of a database on another machine."""
    if settings.outside_database_url is None or settings.allow_insecure:
        return
    target = target_of(settings.outside_database_url)
    password = target.password
    if password not in ("", _DEFAULT_PASSWORD) or target.has_certificate or target.is_local:
        return
    variable = "DATABASE_URL" if settings.database_url else "POSTGRES_PASSWORD"
    kind = "the default one" if password else "empty"
    raise SettingsError(
        f"{variable}: the database password is {kind}, and {', '.join(target.hosts)} is not this machine; set "
        "another one, use a client certificate that is there (sslcert in DATABASE_URL), or set ALLOW_INSECURE=true"
    )


def wait_for_database(url: str, seconds: float, stopping: Callable[[], bool]) -> None:
    """Return when PostgreSQL at `url` answers, or when `stopping()` is true. It is asked at least once.

    Raises `DatabaseAway` after `seconds`, and at once for errors that waiting does not change: the user, the password,
    or a database that does not exist.
    """
    engine = create_engine(url, poolclass=NullPool, connect_args=connection_options(url, "shop start"))
    deadline = time.monotonic() + seconds
    waiting = False
    while not stopping():
        try:
            engine.connect().close()
            return
        except DBAPIError as error:
            if sqlstate(error) == CANCELED:
                # By a timeout of the role, which does not count later.
                return
            reason = first_line(error)
            # In its statement mode PgBouncer breaks off the transaction that the engine begins with.
            with suppress(psycopg2.Error):
                require_own_backend(url)
            if is_final(error, url):
                raise DatabaseAway(f"PostgreSQL refuses the connection: {reason}") from None
        if time.monotonic() >= deadline:
            within = f" within {seconds:.0f} s" if seconds else ""
            raise DatabaseAway(f"PostgreSQL did not answer{within}: {reason}")
        if not waiting:
            waiting = True
            sys.stderr.write(f"Waiting up to {seconds:.0f} s for PostgreSQL: {reason}\n")
        time.sleep(_PAUSE_SECONDS)


def is_final(error: DBAPIError, url: str) -> bool:
    """Whether a connection was refused because of the URL, not because the server is not ready."""
    code = sqlstate(error)
    if code is None and _FINAL_MESSAGES.search(str(error.orig)) is not None:
        return True
    if code is None and is_by_server(error):
        # It may speak another language.
        code = refusal_code(url)
    return code is not None and code.startswith(_FINAL_CODES)


def first_line(error: Exception) -> str:
    """The first line of the driver's message, without SQLAlchemy's text around it."""
    return str(getattr(error, "orig", error)).strip().partition("\n")[0]
