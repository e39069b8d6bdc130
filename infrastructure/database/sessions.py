"""Connections and sessions of SQLAlchemy, as the database threads use them."""

import logging
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg2
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from infrastructure.database.connection_options import SESSION_SETTINGS
from infrastructure.database.datetimes import read_datetimes

log = logging.getLogger("shop.database")

# A pooler that has no place takes a new connection all the same, and lets its first statement wait.
FIRST_ANSWER_SECONDS = 1.0


def set_up(connection: Any, settings: str) -> None:
    """Let a new connection of psycopg2's read every date, and have these settings, which are SQL, beside the shop's own."""
    with connection.cursor() as cursor:
        cursor.execute(f"{SESSION_SETTINGS}; {settings}")
    connection.commit()
    read_datetimes(connection)


@contextmanager
def answered_soon(connection: Any) -> Iterator[None]:
    """Cut off a new connection of psycopg2's on which the block waits too long; an `OperationalError` says why."""
    late = threading.Event()

    def cut_off() -> None:
        late.set()
        with suppress(OSError, psycopg2.Error), socket.socket(fileno=os.dup(connection.fileno())) as its_socket:
            its_socket.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(FIRST_ANSWER_SECONDS, cut_off)
    timer.daemon = True
    timer.start()
    try:
        yield
    except psycopg2.Error as error:
        connection.close()
        if late.is_set():
            raise psycopg2.OperationalError("no place for a new connection: its first statement waits") from error
        raise
    finally:
        timer.cancel()


@contextmanager
def autocommit(connection: Connection) -> Iterator[None]:
    """Let every statement of a pooled connection be a transaction of its own, for a while.

    Told to the driver itself, which only remembers it; the dialect's way sends a statement to set it back.
    """
    driver: Any = connection.connection.dbapi_connection
    driver.autocommit = True
    try:
        yield
    finally:
        if not driver.closed:
            driver.autocommit = False


def close_quietly(session: Session) -> None:
    """Close it, also where its connection is broken."""
    try:
        session.close()
    except DBAPIError:
        # The connection broke while it was handed back; the pool has already thrown it away.
        log.debug("A broken connection was thrown away", exc_info=True)
