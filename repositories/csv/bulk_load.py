"""Rows on their way into PostgreSQL by COPY, column by column."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import compress
from typing import Any

from psycopg2.errors import UniqueViolation
from sqlalchemy import Table, func, select
from sqlalchemy.orm import Session

# One import at a time: two imports may lock the same rows in different orders.
_IMPORT_LOCK = 7_240_120

_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
_ESCAPED = str.maketrans(_ESCAPES)
_ESCAPE = re.compile(r"\\.")
_MEANT = {escape: sign for sign, escape in _ESCAPES.items()}


def copy_cell(value: Any) -> str:
    """The value as COPY reads it. An empty text is NULL, because an empty cell is a field left out."""
    if value is None:
        return ""
    cell = json.dumps(value) if isinstance(value, dict) else str(value)
    return cell if cell.isprintable() and "\\" not in cell else cell.translate(_ESCAPED)


def copy_cells(texts: Sequence[str]) -> Sequence[str]:
    """The result of `copy_cell` for each text; fast where none of them needs an escape."""
    whole = "".join(texts)
    return [*map(copy_cell, texts)] if any(sign in whole for sign in _ESCAPES) else texts


def text_of(cell: str) -> str:
    """The text that `copy_cell` wrote."""
    return _ESCAPE.sub(lambda escape: _MEANT[escape[0]], cell)


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows for a table: the cells of each column as COPY reads them, and the lines of the file where they begin."""

    lines: Sequence[int]
    columns: Mapping[str, Sequence[str]]

    def __len__(self) -> int:
        return len(self.lines)

    def with_column(self, name: str, cells: Sequence[str]) -> "Rows":
        """The rows with one more column."""
        return Rows(self.lines, {**self.columns, name: cells})

    def without(self, places: Set[int]) -> "Rows":
        """All rows but those at these places."""
        return self._chosen([place not in places for place in range(len(self))]) if places else self

    def only(self, places: Set[int]) -> "Rows":
        """The rows at these places."""
        return self._chosen([place in places for place in range(len(self))])

    def halves(self) -> tuple["Rows", "Rows"]:
        """The first rows, and the others."""
        half = len(self) // 2
        first = [place < half for place in range(len(self))]
        return self._chosen(first), self._chosen([not chosen for chosen in first])

    def _chosen(self, wanted: Sequence[bool]) -> "Rows":
        columns = {name: list(compress(cells, wanted)) for name, cells in self.columns.items()}
        return Rows(list(compress(self.lines, wanted)), columns)


class Copy:
    """Rows for a table, ready for COPY: to format them costs several times as much as to send them."""

    def __init__(self, table: Table, columns: Mapping[str, Sequence[str]]) -> None:
        self.statement = f"COPY {table.name} ({', '.join(columns)}) FROM STDIN WITH (ENCODING 'UTF8', NULL '')"
        self.rows = "\n".join([*map("\t".join, zip(*columns.values(), strict=True)), ""]).encode()


class BulkLoad:
    """Puts rows into tables by COPY, in the transaction of `session`."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._next_key: int | None = None

    def wait_for_others(self) -> None:
        """Return when no other import runs; no other one begins before this transaction ends."""
        self.session.execute(select(func.pg_advisory_xact_lock(_IMPORT_LOCK)))

    def count_keys(self, table: Table) -> None:
        """From now on assign keys of the table without a query: nobody else can add rows to it meanwhile."""
        self._next_key = self.session.scalars(select(func.nextval(self._sequence(table)))).one()

    @property
    def counts_keys(self) -> bool:
        """Whether new keys are assigned without a query."""
        return self._next_key is not None

    def stop_counting(self, table: Table) -> None:
        """Set the sequence behind the keys that were assigned, if any were."""
        if self._next_key is not None:
            self.session.execute(select(func.setval(self._sequence(table), self._next_key, False)))
            self._next_key = None

    def new_keys(self, table: Table, count: int) -> list[str]:
        """So many keys for new rows of the table, in ascending order, as cells."""
        if self._next_key is not None:
            first, self._next_key = self._next_key, self._next_key + count
            return [*map(str, range(first, self._next_key))]
        drawn = select(func.nextval(self._sequence(table))).select_from(func.generate_series(1, count).alias())
        return [*map(str, sorted(self.session.scalars(drawn)))]

    def _sequence(self, table: Table) -> str:
        # Queried once: as part of a statement it would be looked up for every key.
        name: str = self.session.scalars(select(func.pg_get_serial_sequence(table.name, "id_key"))).one()
        return name

    def copy(self, copy: Copy) -> None:
        """Add rows to their table. Raises psycopg2's errors."""
        driver = self.session.connection().connection.driver_connection
        assert driver is not None
        with driver.cursor() as cursor:
            # In one piece: for each of many, other threads would have to make way.
            cursor.copy_expert(copy.statement, Pieces([copy.rows]))

    def stored(self, work: Callable[[], None]) -> bool:
        """Whether `work` was done. It is not, and changes nothing, where a row is not unique."""
        try:
            with self.session.begin_nested():
                work()
        except UniqueViolation:
            return False
        return True


class Pieces:
    """The file that psycopg2 reads rows from, piece by piece."""

    def __init__(self, pieces: Iterable[str | bytes]) -> None:
        self._pieces = iter(pieces)

    def read(self, size: int) -> str | bytes:
        """The next piece, whatever the size; nothing at the end."""
        return next(self._pieces, "")
