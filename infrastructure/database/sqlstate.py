"""What PostgreSQL's error codes mean to whoever sent a statement: try again, the server cannot now, or neither."""

import psycopg2
from sqlalchemy.exc import DBAPIError


class DatabaseUnavailable(Exception):
    """PostgreSQL is away, read-only, or did not answer in time; nothing was changed, or nobody knows (COMMIT)."""


# Serialization failure and deadlock: the whole transaction may be tried again.
RETRIABLE = frozenset({"40001", "40P01"})
# The server took another role (a failover): this connection and its siblings are of no use any more.
READ_ONLY = "25006"
LOCK_TIMEOUT = "55P03"
# A number that its column cannot hold.
OUT_OF_RANGE = "22003"
# Lock and statement timeouts, and the classes of lost connections, exhausted resources and shutdowns.
_BUSY_CODES = frozenset({LOCK_TIMEOUT, "57014"})
_BUSY_CLASSES = frozenset({"08", "53", "57", "58", "XX"})
# What the driver raises, without a code, over a value or a statement rather than over the connection.
_OF_VALUES = (psycopg2.DataError, psycopg2.IntegrityError, psycopg2.NotSupportedError, psycopg2.ProgrammingError)


def sqlstate(error: DBAPIError) -> str | None:
    """PostgreSQL's five-letter code of the error, or None when the server did not get to say one."""
    return getattr(error.orig, "pgcode", None)


def is_no_answer(error: BaseException | None) -> bool:
    """Whether the server has no part in the error: the driver could not send what it was given, or not read what came.

    It would fail so each time, which makes it a fault of the shop or of what the database holds.
    """
    if not isinstance(error, psycopg2.Error):
        return True
    return error.pgcode is None and isinstance(error, _OF_VALUES)


def is_busy(code: str | None) -> bool:
    """Whether the server could not do now what it could at another time. Without a code it did not get to say one."""
    return code is None or code in _BUSY_CODES or code[:2] in _BUSY_CLASSES


def is_cut_off(code: str | None) -> bool:
    """Whether the connection broke, or the server ended it, rather than that the statement failed."""
    return code is None or code[:3] == "57P" or code[:2] == "08"
