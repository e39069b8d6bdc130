"""Connections and sessions of SQLAlchemy, as the database threads use them."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from infrastructure.database.datetimes import read_datetimes

log = logging.getLogger("shop.database")


def set_up(connection: Any, settings: str) -> None:
    """Let a new connection of psycopg2's keep to UTC and read every date, and have these settings, which are SQL."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET TIME ZONE 'UTC'; {settings}")
    connection.commit()
    read_datetimes(connection)


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
