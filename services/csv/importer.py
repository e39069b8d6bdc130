"""Import of a CSV file: its rows become rows of the shop by the rules of the API, in one transaction.

The rows come in batches, so that the memory does not grow with the file. While PostgreSQL stores one batch, the next
one is read and validated. Nothing here commits.
"""

import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import compress
from operator import attrgetter

from sqlalchemy import Table
from sqlalchemy.orm import Session

from models.stock_movement import StockReason
from repositories.audit_trail import record
from repositories.csv.bulk_load import BulkLoad, Copy, Rows, copy_cell
from repositories.csv.indexes import make_anew, set_aside
from services.base import invalidation_of
from services.csv.cells import BadRow, Batch, Column, FieldColumn, KeyColumn, NameColumn, RowChecker, key_of
from services.csv.entities import CsvEntity
from services.csv.header import require_columns
from services.csv.numbers import DecimalMark
from services.csv.stored_rows import OnDuplicate, StoredRows
from services.errors import NotFound

Refuse = Callable[[BadRow], None]

# With fewer rows than this in the first batch, rebuilding the indexes would gain little.
ROWS_WORTH_INDEXES = 10_000

_SWITCH_SECONDS = 0.0005


class CsvImport:
    """The import of one file into the tables of `entity`. Raises `HeaderError`.

    `decimal` is the decimal mark of its numbers; without one, only numbers are read that can be one number alone.
    `added` counts the new rows so far, and `stored` has those that were there before.
    """

    def __init__(
        self,
        session: Session,
        entity: CsvEntity,
        header: Sequence[str],
        *,
        on_duplicate: OnDuplicate = "refuse",
        decimal: DecimalMark | None = ".",
    ) -> None:
        require_columns(entity, header)
        self.session, self.entity = session, entity
        self.on_duplicate, self._decimal = on_duplicate, decimal
        self.service = entity.service(session)
        self._events = self.service.bulk_events()
        self.stored = StoredRows(session, entity, self.service, self._events, on_duplicate)
        self.checker = RowChecker(self._columns(header))
        self.load = BulkLoad(session)
        self.load.wait_for_others()
        self.added = 0
        self._first_key: int | None = None
        self._indexes: Sequence[str] | None = None
        # The keys of rows that the fields refer to, which are locked until the transaction ends.
        self._held: defaultdict[str, set[int]] = defaultdict(set)

    def _columns(self, header: Sequence[str]) -> list[Column | None]:
        named = self.entity.named_references()
        ignored = {*self.entity.create.read_only, *(named[name] for name in header if name in named)}
        return [None if name in ignored else self._column(name, named) for name in header]

    def _column(self, name: str, named: dict[str, str]) -> Column:
        references, schema = self.entity.service.references, self.entity.create
        if name in named:
            referenced = references[named[name]]
            field, form_of = next(iter(referenced.unique.items()))
            keys = referenced.repository_type(self.session).keys_by(field)
            is_needed = schema.model_fields[named[name]].is_required()
            return NameColumn(name, named[name], keys, form_of, is_needed=is_needed)
        if name in references:
            return FieldColumn(schema, name, rule=key_of(references[name].thing), decimal=self._decimal)
        if f"{name}_key" in self.entity.table.c:
            return KeyColumn(schema, name, self.service)
        # Where rows may be updated, an empty cell must differ from one with the default value.
        left_out = None if self.on_duplicate == "update" else self.entity.defaults.get(name)
        return FieldColumn(schema, name, left_out=left_out, decimal=self._decimal)

    def run(self, batches: Iterable[Batch], refuse: Refuse) -> None:
        """Store the rows that keep the rules; `refuse` is called with the others, in the order of their lines."""
        storing: Future[list[BadRow]] | None = None
        with _frequent_switches(), ThreadPoolExecutor(1, thread_name_prefix="storing") as thread:
            for batch in batches:
                rows, bad = self.checker.check(batch)
                if self._indexes is None:
                    self._begin(rows)
                copies = None
                if self.load.counts_keys:
                    rows = self._numbered(rows)
                    copies = self._copies(rows)
                if storing is not None:
                    _report(storing.result(), refuse)
                storing = thread.submit(self._store, rows, copies, bad)
            if storing is not None:
                _report(storing.result(), refuse)

    def finish(self) -> None:
        """Do what is left before a commit: the indexes of the rows, audit trail and events, and the invalidation for the cache."""
        self.load.stop_counting(self.entity.table)
        make_anew(self.session, self._indexes or ())
        self._events.tell()
        if self.added:
            # One entry for all new rows, of which there may be a million; those that were changed have one each.
            record(self.session, self.service.resource, [(None, {"rows_added": (0, self.added)})])
        if self.service.caching is not None and self._first_key is not None:
            invalidation_of(self.session).row_added(self.service.resource, self._first_key)

    def _begin(self, rows: Rows) -> None:
        """Lock the tables and set their indexes aside, if they are empty and the first batch has enough rows for that."""
        many = len(rows) >= ROWS_WORTH_INDEXES
        self._indexes = set_aside(self.session, self._tables()) if many else ()
        if self._indexes:
            self.load.count_keys(self.entity.table)

    def _store(self, rows: Rows, copies: Sequence[Copy] | None, bad: list[BadRow]) -> list[BadRow]:
        """Store the rows of one batch; all of its rows that cannot be stored, those in `bad` included.

        `copies` are those of numbered rows; without them the rows have no keys yet.
        """
        if copies is None:
            rows = self._numbered(self.stored.without_known(rows))
        kept, lost = self._without_lost(rows)
        taken = self._add(kept, copies if kept is rows else None)
        return sorted([*bad, *lost, *taken], key=attrgetter("line"))

    def _tables(self) -> list[Table]:
        """The tables that new rows go to, each behind those that it refers to."""
        tables = (self.entity.table, self.entity.ledger, self.entity.history)
        return [table for table in tables if table is not None]

    def _without_lost(self, rows: Rows) -> tuple[Rows, list[BadRow]]:
        """The rows whose references exist, and are locked until the end; and the others."""
        lost: dict[int, BadRow] = {}
        for field, other in self.service.references.items():
            cells = rows.columns.get(field, ())
            held = self._held[field]
            unknown = {int(cell) for cell in {*cells} if cell} - held
            if unknown:
                held |= other.repository_type(self.session).lock_key_share(unknown)
            missing = {str(key) for key in unknown - held}
            for place, cell in enumerate(cells if missing else ()):
                if cell in missing:
                    lost[place] = BadRow(rows.lines[place], f"{field}: {NotFound(other.thing, cell)}")
        return rows.without(lost.keys()), [*lost.values()]

    def _numbered(self, rows: Rows) -> Rows:
        return rows.with_column("id_key", self.load.new_keys(self.entity.table, len(rows)))

    def _copies(self, rows: Rows) -> Sequence[Copy]:
        """The numbered rows, and the first entries of the ledger about them, ready for COPY."""
        columns = self._with_defaults(rows.columns)
        copies = [Copy(self.entity.table, columns)]
        if self.entity.ledger is not None and "stock" in columns:
            copies.append(Copy(self.entity.ledger, _first_movements(columns)))
        return copies

    def _with_defaults(self, columns: Mapping[str, Sequence[str]]) -> Mapping[str, Sequence[str]]:
        """The columns with the table's defaults where cells are empty, unless they have them already."""
        if self.on_duplicate != "update":
            return columns
        filled = {}
        for name, default in self.entity.defaults.items():
            if name in columns:
                filled[name] = [cell or copy_cell(default) for cell in columns[name]]
        return {**columns, **filled}

    def _add(self, rows: Rows, copies: Sequence[Copy] | None = None) -> list[BadRow]:
        """Store the numbered rows; those that cannot be stored, because their natural key is taken."""
        if not len(rows) or self.load.stored(partial(self._copy, rows, copies or self._copies(rows))):
            return []
        places = self.stored.places_taken(rows)
        if places:
            # The others first: a row may repeat the natural key of one before it in the file.
            return self._add(rows.without(places)) + self.stored.settle(rows.only(places))
        if len(rows) == 1:
            return self.stored.settle(rows)
        # Taken by a row that was not yet visible, or in a way that only the index knows.
        first, second = rows.halves()
        return self._add(first) + self._add(second)

    def _copy(self, rows: Rows, copies: Sequence[Copy]) -> None:
        for copy in copies:
            self.load.copy(copy)
        self.added += len(rows)
        self._events.add("created", [int(key) for key in rows.columns["id_key"]])
        self._first_key = self._first_key or int(rows.columns["id_key"][0])


def _first_movements(products: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
    """The columns of the ledger's first entries about products with these columns."""
    booked = [stock != "0" for stock in products["stock"]]
    deltas = list(compress(products["stock"], booked))
    return {
        "product_id": list(compress(products["id_key"], booked)),
        "delta": deltas,
        "reason": [StockReason.INITIAL.value] * len(deltas),
    }


@contextmanager
def _frequent_switches() -> Iterator[None]:
    """Let threads switch more often during a block.

    The thread that stores needs the interpreter for moments only. While it waits for the interpreter, PostgreSQL waits.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def _report(bad: Iterable[BadRow], refuse: Refuse) -> None:
    for row in bad:
        refuse(row)
