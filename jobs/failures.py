"""Failures of attempts: whose fault they are, and what an administrator is shown of them."""

from sqlalchemy.exc import DBAPIError

from infrastructure.database.sqlstate import READ_ONLY, is_cut_off, sqlstate
from infrastructure.observability.redaction import redact
from services.errors import Unavailable

_LONGEST_ERROR = 2000
# Disk, memory or connections are short.
_NO_RESOURCES = "53"


class StepRested(Exception):
    """PostgreSQL ended the transaction of a step that had sent nothing for too long."""


class TaskHangs(Exception):
    """A step, or a task that is a coroutine, has not ended in time. Its thread does not end either."""


def is_of_task(error: BaseException) -> bool:
    """Whether the error counts against the tries of the job.

    It does not where the database is away, or can do nothing for anybody. It does where PostgreSQL has canceled what
    this task alone had sent: it would be canceled so each time.
    """
    if not isinstance(error, Unavailable):
        return True
    code = sqlstate(_said_by_driver(error))
    return code is not None and not is_cut_off(code) and code != READ_ONLY and code[:2] != _NO_RESOURCES


def describe(error: BaseException) -> str:
    """The error in words that may be stored and shown: without a secret, without SQL."""
    if isinstance(error, Unavailable):
        error = _said_by_driver(error) or error
    kind = type(error)
    if isinstance(error, DBAPIError) and error.orig is not None:
        # The lines that follow have the statement, and values of rows.
        kind, text = type(error.orig), str(error.orig).partition("\n")[0]
    else:
        text = str(error)
    said = f"{kind.__name__}: {redact(text)}"[:_LONGEST_ERROR]
    # PostgreSQL takes neither of them.
    return said.replace("\x00", "").encode(errors="replace").decode()


def _said_by_driver(error: BaseException) -> BaseException | None:
    """The error of SQLAlchemy that this one comes from, if any."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, DBAPIError):
        cause = cause.__cause__
    return cause
