"""What PostgreSQL's error codes mean to whoever sent a statement: try again, the server cannot now, or neither."""

import re

import psycopg
import psycopg2
from sqlalchemy.exc import DBAPIError


class DatabaseUnavailable(Exception):
    """PostgreSQL is away, read-only, or did not answer in time; nothing was changed, or nobody knows (COMMIT)."""


class NoAnswer(DatabaseUnavailable):
    """Nothing was heard of what was sent: it may still take effect, also after this."""


class StatementRefused(Exception):
    """PostgreSQL refused the statement, which wrote nothing. `code` is None where there was no connection to send it on."""

    def __init__(self, code: str | None) -> None:
        super().__init__(code)
        self.code = code


# Serialization failure and deadlock: the whole transaction may be tried again.
RETRIABLE = frozenset({"40001", "40P01"})
# The server took another role (a failover): this connection and its siblings are of no use any more.
READ_ONLY = "25006"
LOCK_TIMEOUT = "55P03"
# By a statement timeout, or by somebody's request.
CANCELED = "57014"
TOO_MANY_CONNECTIONS = "53300"
# A number that its column cannot hold.
OUT_OF_RANGE = "22003"
# Lock and statement timeouts, and the classes of lost connections, exhausted resources and shutdowns.
_BUSY_CODES = frozenset({LOCK_TIMEOUT, CANCELED})
_BUSY_CLASSES = frozenset({"08", "53", "57", "58", "XX"})
# How PostgreSQL and PgBouncer refuse a new connection for want of places: the drivers give no code for it.
_NO_PLACE = re.compile(
    r"too many clients|too many connections|remaining connection slots are reserved|no more connections allowed"
    r"|query_wait_timeout|no place for a new connection"
)
# How both drivers say that a new connection was not answered.
_SILENCE = "timeout expired"
# How both drivers say that none of several hosts takes writes.
_NO_WRITES = "session is read-only"
# The errors of psycopg2, which sessions use, and of psycopg 3, which the event loop uses.
_OF_DRIVERS = (psycopg2.Error, psycopg.Error)
# What they raise, without a code, over a value or a statement rather than over the connection.
_OF_VALUES = tuple(
    kind
    for driver in (psycopg2, psycopg)
    for kind in (driver.DataError, driver.IntegrityError, driver.NotSupportedError, driver.ProgrammingError)
)


def sqlstate(error: BaseException | None) -> str | None:
    """PostgreSQL's five-letter code of the error, or None when the server did not get to say one.

    The error may be one of either driver, or of SQLAlchemy's around it.
    """
    if isinstance(error, DBAPIError):
        error = error.orig
    return getattr(error, "pgcode", None) or getattr(error, "sqlstate", None)


def is_no_answer(error: BaseException | None) -> bool:
    """Whether the server has no part in the error: the driver could not send what it was given, or not read what came.

    It would fail so each time, which makes it a fault of the shop or of what the database holds.
    """
    if not isinstance(error, _OF_DRIVERS):
        return True
    return sqlstate(error) is None and isinstance(error, _OF_VALUES)


def is_busy(code: str | None) -> bool:
    """Whether the server could not do now what it could at another time. Without a code it did not get to say one."""
    return code is None or code in _BUSY_CODES or code[:2] in _BUSY_CLASSES


def is_full(error: BaseException) -> bool:
    """Whether a new connection was refused because the server, the role, the database or a pooler has as many as it may."""
    return sqlstate(error) == TOO_MANY_CONNECTIONS or (
        sqlstate(error) is None and isinstance(error, _OF_DRIVERS) and _NO_PLACE.search(str(error)) is not None
    )


def is_silence(error: BaseException | None) -> bool:
    """Whether a new connection failed because a host, or one of several, did not answer."""
    return sqlstate(error) is None and isinstance(error, _OF_DRIVERS) and _SILENCE in str(error)


def is_refused_as_read_only(error: BaseException | None) -> bool:
    """Whether there is no new connection because it should take writes, and no host does."""
    return sqlstate(error) is None and isinstance(error, _OF_DRIVERS) and _NO_WRITES in str(error)


def is_cut_off(code: str | None) -> bool:
    """Whether the connection broke, or the server ended it, rather than that the statement failed."""
    return code is None or code[:3] == "57P" or code[:2] == "08"
