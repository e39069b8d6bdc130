"""Why a server refuses a new connection, by its SQLSTATE and so in any language.

The errors of the drivers have only the text, which is in the language of the server (`lc_messages`). libpq puts the code
into the text where it is asked to before there is a connection, which no driver does. So it is tried once more.
"""

import ctypes
import re
import select
import sys
import time
from collections.abc import Callable
from typing import Any

from psycopg import OperationalError, pq
from psycopg.conninfo import make_conninfo
from psycopg.pq.abc import PGconn

from infrastructure.database.connection_options import connection_options
from infrastructure.database.database_url import target_of
from infrastructure.database.sqlstate import TOO_MANY_CONNECTIONS, is_full, sqlstate

_PATIENCE_SECONDS = 1.0
# PQERRORS_VERBOSE of libpq.
_VERBOSE = 2
# The severity, in any language; libpq leaves two spaces behind it. What libpq has found out by itself has none.
_BY_SERVER = re.compile(r"failed: [^:\n]+:  ")
_CODE = re.compile(r"failed: [^:\n]+:  ([0-9A-Z]{5}): ")


def name_if_full(error: Any, url: str) -> None:
    """Give `error`, raised instead of a new connection, its SQLSTATE where the server at `url` had no place for it.

    Blocks for up to a second.
    """
    if (
        sqlstate(error) is None
        and not is_full(error)
        and is_by_server(error)
        and refusal_code(url) == TOO_MANY_CONNECTIONS
    ):
        error.sqlstate = TOO_MANY_CONNECTIONS


def is_by_server(error: BaseException) -> bool:
    """Whether a server was reached, and it was the server that refused the connection."""
    return _BY_SERVER.search(str(error)) is not None


def refusal_code(url: str) -> str | None:
    """The SQLSTATE with which a new connection to `url` is refused; None when there is none, or it cannot be told.

    Blocks for up to a second. Who is let in by now was refused for want of a place.
    """
    say_codes = _error_verbosity()
    if say_codes is None:
        return None
    options = {**target_of(url).options, **connection_options(url, "shop start")}
    try:
        connection = pq.PGconn.connect_start(make_conninfo("", **options).encode())
    except OperationalError:
        return None
    try:
        say_codes(connection.pgconn_ptr, _VERBOSE)  # type: ignore[attr-defined]
        return _outcome(connection)
    finally:
        connection.finish()


def _outcome(connection: PGconn) -> str | None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while (status := connection.connect_poll()) != pq.PollingStatus.FAILED:
        if status == pq.PollingStatus.OK:
            return TOO_MANY_CONNECTIONS
        waiting = select.poll()
        waiting.register(connection.socket, select.POLLIN if status == pq.PollingStatus.READING else select.POLLOUT)
        if not waiting.poll(max(0.0, deadline - time.monotonic()) * 1000):
            return None
    # One for each host that was tried.
    codes: list[str] = _CODE.findall(connection.error_message.decode(errors="replace"))
    if TOO_MANY_CONNECTIONS in codes:
        return TOO_MANY_CONNECTIONS
    return codes[-1] if codes else None


def _error_verbosity() -> Callable[[int | None, int], int] | None:
    """libpq's function that says how much an error tells; it is the libpq that psycopg has loaded, if that is compiled."""
    module = sys.modules[pq.PGconn.__module__]
    try:
        function = ctypes.CDLL(str(module.__file__)).PQsetErrorVerbosity
    except (OSError, AttributeError):
        return None
    function.argtypes = (ctypes.c_void_p, ctypes.c_int)
    return function
