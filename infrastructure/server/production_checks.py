"""What a start asks of outside servers before it serves: URLs that can be read, a real password, and an answer."""

import re
import sys
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import psycopg2
from psycopg2.extensions import make_dsn
from redis import ConnectionPool
from redis.exceptions import RedisError
from sqlalchemy import create_engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import NullPool

from config.settings import Settings, SettingsError
from infrastructure.database.database_url import target_of
from infrastructure.database.sqlstate import sqlstate

DATABASE_WAIT_SECONDS = 60.0
_CONNECT_SECONDS = 3
_PAUSE_SECONDS = 0.5
_HIGHEST_PORT = 65_535
_REDIS_DATABASE = re.compile(r"(/\d*)?")
_DEFAULT_PASSWORD = "postgres"  # noqa: S105 (the one that is refused)

# Invalid authorization, and a database that is not there.
_FINAL_CLASSES = {"28", "3D"}
_FINAL_MESSAGES = re.compile(
    r"authentication failed|no password supplied|no pg_hba\.conf entry|pg_hba\.conf rejects|not permitted to log in"
    r'|(role|database) ".*" does not exist|permission denied for database|definition of service ".*" not found'
)


class DatabaseAway(RuntimeError):
    """PostgreSQL did not answer in time; the message is one line."""


def check_database_url(settings: Settings) -> None:
    """Raise `SettingsError` when DATABASE_URL cannot be read, or no driver could connect with what it says."""
    try:
        url = make_url(settings.outside_database_url or "postgresql://")
        if url.port is not None and not 1 <= url.port <= _HIGHEST_PORT:
            raise ValueError("no port has this number")
        positional, named = url.get_dialect()().create_connect_args(url)
        # Where an option has no meaning to PostgreSQL, this says so without a connection.
        make_dsn(*positional, **named)
    except (ArgumentError, ValueError, psycopg2.ProgrammingError):
        # What it holds is not shown: nobody can tell which part of it is the password.
        raise SettingsError(
            "DATABASE_URL cannot be read: it may hold a PostgreSQL URL such as postgresql://user:password@host:5432/name"
        ) from None


def check_redis_url(settings: Settings) -> None:
    """Raise `SettingsError` when REDIS_URL cannot be read, or has options that a connection does not know."""
    url = settings.outside_redis_url
    if url is None or not settings.redis_enabled:
        return
    try:
        if urlsplit(url).scheme != "unix" and not _REDIS_DATABASE.fullmatch(urlsplit(url).path):
            # The library would take the first database instead.
            raise ValueError("the path is no number")
        # Nothing is opened before the connection is used.
        ConnectionPool.from_url(url).make_connection()
    except (RedisError, TypeError, ValueError):
        raise SettingsError(
            "REDIS_URL cannot be read: it may hold a URL such as redis://:password@host:6379/0, rediss://… or unix:///path"
        ) from None


def refuse_weak_password(settings: Settings) -> None:
    """Raise `SettingsError` when anybody on the network could be the database's user."""
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
    """Return when PostgreSQL at `url` answers, or when `stopping()` says so.

    Raises `DatabaseAway` after `seconds`, and at once when it refuses what waiting does not change: the user, the
    password, or a database that is not there. It is asked at least once.
    """
    engine = create_engine(url, poolclass=NullPool, connect_args={"connect_timeout": _CONNECT_SECONDS})
    deadline = time.monotonic() + seconds
    waiting = False
    while not stopping():
        try:
            engine.connect().close()
            return
        except DBAPIError as error:
            reason = first_line(error)
            if is_final(error):
                raise DatabaseAway(f"PostgreSQL refuses the connection: {reason}") from None
        if time.monotonic() >= deadline:
            within = f" within {seconds:.0f} s" if seconds else ""
            raise DatabaseAway(f"PostgreSQL did not answer{within}: {reason}")
        if not waiting:
            waiting = True
            sys.stderr.write(f"Waiting up to {seconds:.0f} s for PostgreSQL: {reason}\n")
        time.sleep(_PAUSE_SECONDS)


def is_final(error: DBAPIError) -> bool:
    """Whether a connection was refused for what the URL says, rather than because the server is not ready."""
    code = sqlstate(error)
    if code is not None:
        return code[:2] in _FINAL_CLASSES
    # The driver passes no code on before there is a connection.
    return _FINAL_MESSAGES.search(str(error.orig)) is not None


def first_line(error: Exception) -> str:
    """The first line of what the driver says, without SQLAlchemy's frame around it."""
    return str(getattr(error, "orig", error)).strip().partition("\n")[0]
