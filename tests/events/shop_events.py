"""Events as tests write and number them: by SQL, on connections of their own."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2

from config.settings import read_settings
from events.sequencer import Sequencer
from infrastructure.database.async_pool import AsyncPool

WRITE = """
    INSERT INTO events (type, resource, resource_id, client_id, data)
    VALUES (%s, %s, %s, %s, %s) RETURNING id, position
"""
AFTER = "SELECT sequence, id, resource_id, position FROM events WHERE sequence > %s ORDER BY sequence"


@contextmanager
def transaction_of(url: str) -> Iterator[Any]:
    """A connection that commits when it is told to."""
    connection = psycopg2.connect(url.replace("+psycopg2", ""))
    try:
        yield connection
    finally:
        connection.close()


def write(connection: Any, resource_id: int = 1, kind: str = "product.updated", client_id: int | None = None) -> str:
    """Write an event in the transaction of the connection, as the shop does: after it has changed a row. Its id."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_xact_id()")
        cursor.execute(WRITE, (kind, f"{kind.split('.')[0]}s", resource_id, client_id, '{"price": 9.90}'))
        return str(cursor.fetchone()[0])


class Numbering:
    """A sequencer of its own, with an event loop of its own."""

    def __init__(self, url: str, settle_seconds: float = 0.0) -> None:
        self.runner = asyncio.Runner()
        self.pool = AsyncPool(url, read_settings({}), 1)
        self.sequencer = Sequencer(self.pool.execute, settle_seconds)

    def run(self) -> None:
        self.runner.run(self.sequencer.run())

    def close(self) -> None:
        async def close() -> None:
            self.pool.close()

        self.runner.run(close())
        self.runner.close()


@contextmanager
def numbering(url: str, settle_seconds: float = 0.0) -> Iterator[Numbering]:
    sequencer = Numbering(url, settle_seconds)
    try:
        yield sequencer
    finally:
        sequencer.close()
