"""What run_production.py asks of an outside PostgreSQL before it serves: a real password, and an answer."""

import ipaddress
import sys
import time
from collections.abc import Callable

from sqlalchemy import URL, create_engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import NullPool

from config.settings import Settings, SettingsError

DATABASE_WAIT_SECONDS = 60.0
_CONNECT_SECONDS = 3
_PAUSE_SECONDS = 0.5
_DEFAULT_PASSWORD = "postgres"  # noqa: S105 (the one that is refused)


class DatabaseAway(RuntimeError):
    """PostgreSQL did not answer in time; the message is one line."""


def check_database_url(settings: Settings) -> None:
    """Raise `SettingsError` when DATABASE_URL cannot be read."""
    try:
        make_url(settings.outside_database_url or "postgresql://")
    except (ArgumentError, ValueError):
        # What it holds is not shown: nobody can tell which part of it is the password.
        raise SettingsError(
            "DATABASE_URL cannot be read: it may hold a PostgreSQL URL such as postgresql://user:password@host:5432/name"
        ) from None


def refuse_weak_password(settings: Settings) -> None:
    """Raise `SettingsError` when anybody on the network could be the database's user."""
    if settings.outside_database_url is None or settings.allow_insecure:
        return
    url = make_url(settings.outside_database_url)
    password = url.password or _parameter(url, "password")
    if password not in ("", _DEFAULT_PASSWORD) or _parameter(url, "sslcert") or _is_local(url):
        return
    variable = "DATABASE_URL" if settings.database_url else "POSTGRES_PASSWORD"
    kind = "the default one" if password else "empty"
    raise SettingsError(
        f"{variable}: the database password is {kind}; set another one, use a client certificate (sslcert in "
        "DATABASE_URL), or set ALLOW_INSECURE=true"
    )


def wait_for_database(url: str, seconds: float, stopping: Callable[[], bool]) -> None:
    """Return when PostgreSQL at `url` answers, or when `stopping()` says so.

    Whatever it refuses meanwhile is taken for a server that is still being set up. Raises `DatabaseAway` after
    `seconds`; it is asked at least once.
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
        if time.monotonic() >= deadline:
            patience = f" within {seconds:.0f} s" if seconds else ""
            raise DatabaseAway(f"PostgreSQL did not answer{patience}: {reason}")
        if not waiting:
            waiting = True
            sys.stderr.write(f"Waiting up to {seconds:.0f} s for PostgreSQL: {reason}\n")
        time.sleep(_PAUSE_SECONDS)


def first_line(error: Exception) -> str:
    """The first line of what the driver says, without SQLAlchemy's frame around it."""
    return str(getattr(error, "orig", error)).strip().partition("\n")[0]


def _is_local(url: URL) -> bool:
    # An address in `hostaddr` is where the client really connects to, whatever `host` says.
    named = _parameter(url, "hostaddr") or url.host or _parameter(url, "host")
    hosts = [host for host in named.split(",") if host]
    # Without any host the client connects to a Unix socket.
    return all(_is_this_machine(host) for host in hosts)


def _is_this_machine(host: str) -> bool:
    if host == "localhost" or host.startswith("/"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _parameter(url: URL, name: str) -> str:
    value = url.query.get(name, "")
    return value if isinstance(value, str) else ",".join(value)
