"""Fills an empty shop for `benchmarks.growth` by COPY, with every index in place."""

import time
from collections.abc import Iterable
from typing import Any

import psycopg2

from benchmarks.growth_data import Size, Trade

_CHUNK = 2**16

# The rows satisfy the foreign keys; to check each again would take half of the time.
_SETTINGS = """
    SET session_replication_role = replica; SET synchronous_commit = off; SET maintenance_work_mem = '256MB';
    SET statement_timeout = 0
"""


class RowStream:
    """Rows as a file for psycopg2's COPY, without all of them in memory."""

    def __init__(self, rows: Iterable[str]) -> None:
        self._rows = iter(rows)

    def read(self, size: int) -> str:
        """The next rows, about `size` characters of them; nothing at the end."""
        found: list[str] = []
        length = 0
        for row in self._rows:
            found.append(row)
            length += len(row) + 1
            if length >= size:
                break
        return "".join(f"{row}\n" for row in found)


def fill(database_url: str, size: Size) -> None:
    """Fill the shop, unless it holds clients already; says how long each step took."""
    connection = psycopg2.connect(database_url.replace("+psycopg2", ""))
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT EXISTS (SELECT FROM clients)")
            if cursor.fetchone() == (True,):
                return
            _copy_all(cursor, size)
    finally:
        connection.close()


def _copy_all(cursor: Any, size: Size) -> None:
    cursor.execute(_SETTINGS)
    for table, rows in Trade(size).tables():
        started = time.monotonic()
        cursor.copy_expert(f"COPY {table} FROM STDIN", RowStream(rows), _CHUNK)
        print(f"  {table.partition(' ')[0]:16}{time.monotonic() - started:6.1f} s", flush=True)
    started = time.monotonic()
    for statement in ("VACUUM (ANALYZE)", "CHECKPOINT"):
        cursor.execute(statement)
    print(f"  {'statistics':16}{time.monotonic() - started:6.1f} s", flush=True)
