"""Connections to PostgreSQL that the event loop itself waits for, as the driver has them."""

import select
import time
from typing import Any

import psycopg2
from psycopg2.extensions import POLL_OK, POLL_READ
from sqlalchemy import make_url

from infrastructure.database.datetimes import read_datetimes
from infrastructure.database.migrations import CONNECT_TIMEOUT_SECONDS


def connected(url: str, first: str, name: str = "shop") -> Any:
    """A new connection, which PostgreSQL knows by `name`, after it has done the statements `first`.

    Blocks, because looking up the host's name does. Raises psycopg2's errors.
    """
    address = make_url(url)
    words, named = address.get_dialect()().create_connect_args(address)
    connection = psycopg2.connect(*words, **named, application_name=name, async_=True)
    deadline = time.monotonic() + CONNECT_TIMEOUT_SECONDS
    try:
        _wait(connection, deadline)
        with connection.cursor() as cursor:
            cursor.execute(first)
            _wait(connection, deadline)
        read_datetimes(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _wait(connection: Any, deadline: float) -> None:
    while (state := connection.poll()) != POLL_OK:
        # Not `select`, which knows the first 1,024 descriptors only: the clients of a busy worker have these.
        waiting = select.poll()
        waiting.register(connection.fileno(), select.POLLIN if state == POLL_READ else select.POLLOUT)
        if not waiting.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise psycopg2.OperationalError("the server does not answer")
