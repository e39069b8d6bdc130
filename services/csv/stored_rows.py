"""What becomes of a row of a CSV file whose natural key is stored already, or is that of a row before it in the file."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from sqlalchemy.orm import Session

from repositories.csv.bulk_load import Rows, text_of
from repositories.csv.keyless import keyless_rows, newest_key
from services.bulk import BulkService
from services.csv.cells import BadRow
from services.csv.entities import CsvEntity
from services.errors import AlreadyExists, ShopError
from services.event_writing import BulkEvents

OnDuplicate = Literal["refuse", "skip", "update"]

# So many rows are changed by one call of the service.
_UPDATED_AT_ONCE = 5000
# The field that rows without a natural key are looked up by.
_LABEL = "name"


class StoredRows:
    """Refuses these rows, passes over them, or changes the stored ones by the rules of the service.

    `updated` counts the rows that a file has changed so far, `unchanged` those that had all of it already, and `skipped`
    those that were passed over.
    """

    def __init__(
        self,
        session: Session,
        entity: CsvEntity,
        service: BulkService[Any],
        events: BulkEvents,
        on_duplicate: OnDuplicate,
    ) -> None:
        self._session, self._entity, self._service, self._events = session, entity, service, events
        self.on_duplicate = on_duplicate
        self._fields = frozenset(entity.create.model_fields)
        # The newest row that was there before, and the rows without a natural key that the file has named so far.
        self._newest: int | None = None
        self._seen: set[int] = set()
        self.updated = self.unchanged = self.skipped = 0

    def without_known(self, rows: Rows) -> Rows:
        """The rows but those without a natural key of which the shop has all: unless they are refused, they change nothing.

        Otherwise an export would add them once more. Each stored row stands for one of the file.
        """
        key = self._entity.key_field
        cells = rows.columns.get(key) or [""] * len(rows)
        places = [place for place, cell in enumerate(cells) if not cell]
        if self.on_duplicate == "refuse" or not places:
            return rows
        known: set[int] = set()
        stored = self._keyless(rows, places)
        kinds = self._kinds(rows)
        for place in places:
            same = stored.get(self._content(rows, kinds, place))
            if same:
                self._seen.add(same.pop())
                known.add(place)
        if self.on_duplicate == "skip":
            self.skipped += len(known)
        else:
            self.unchanged += len(known)
        return rows.without(known)

    def _keyless(self, rows: Rows, places: Sequence[int]) -> dict[tuple[Any, ...], list[int]]:
        """The keys of stored rows without a natural key, by their content, that may be those at these places."""
        table = self._entity.table
        if self._newest is None:
            # What this import adds comes behind it.
            self._newest = newest_key(self._session, table)
        labels = {text_of(rows.columns[_LABEL][place]) for place in places}
        columns = [table.c.id_key, *(table.c[name] for name in self._kinds(rows))]
        stored: dict[tuple[Any, ...], list[int]] = {}
        found = keyless_rows(self._session, table.c[self._entity.key_field], table.c[_LABEL], sorted(labels), columns)
        for row in found:
            if row.id_key <= self._newest and row.id_key not in self._seen:
                # An empty text and no text are the same in a file.
                values: Sequence[Any] = row[1:]
                content = tuple(None if value == "" else value for value in values)
                stored.setdefault(content, []).append(row.id_key)
        return stored

    def _kinds(self, rows: Rows) -> dict[str, type[Any]]:
        """The types of the fields that the file holds."""
        return {name: self._entity.table.c[name].type.python_type for name in rows.columns if name in self._fields}

    def _content(self, rows: Rows, kinds: Mapping[str, type[Any]], place: int) -> tuple[Any, ...]:
        """The values of a row; where a cell is empty, what the table gives to a new row."""
        cells = ((name, kind, rows.columns[name][place]) for name, kind in kinds.items())
        return tuple(_value(kind, cell) if cell else self._entity.defaults.get(name) for name, kind, cell in cells)

    def places_taken(self, rows: Rows) -> set[int]:
        """Where rows are whose natural key is stored, or is that of a row before."""
        ((field, form_of),) = self._service.unique.items()
        keys = [form_of(text_of(cell)) for cell in rows.columns.get(field, ())]
        holders = self._service.repository.holders(field, keys)
        # A row of the file has no key yet. Its place, below all keys, stands for it.
        return {place for place, key in enumerate(keys) if key and holders.setdefault(key, ~place) != ~place}

    def settle(self, rows: Rows) -> list[BadRow]:
        """Treat rows whose natural key is taken as `on_duplicate` says; those that are refused."""
        if self.on_duplicate == "refuse":
            return [self._already_there(rows, place) for place in range(len(rows))]
        if self.on_duplicate == "skip":
            self.skipped += len(rows)
            return []
        refused: list[BadRow] = []
        wanted: dict[int, tuple[int, dict[str, Any]]] = {}
        for place, (key, values) in enumerate(self._changes(rows)):
            if key is None:
                refused.append(self._already_there(rows, place))
                continue
            if key in wanted or len(wanted) == _UPDATED_AT_ONCE:
                refused += self._update(rows, wanted)
                wanted = {}
            wanted[key] = (place, values)
        return refused + self._update(rows, wanted)

    def _changes(self, rows: Rows) -> Iterator[tuple[int | None, dict[str, Any]]]:
        """For each row the key of the stored one, and the fields that the file holds for it."""
        ((field, form_of),) = self._service.unique.items()
        fields = self._kinds(rows)
        keys = [form_of(text_of(cell)) for cell in rows.columns[field]]
        holders = self._service.repository.holders(field, keys)
        for place, key in enumerate(keys):
            cells = ((name, kind, rows.columns[name][place]) for name, kind in fields.items())
            yield holders.get(key), {name: _value(kind, cell) for name, kind, cell in cells if cell}

    def _update(self, rows: Rows, wanted: dict[int, tuple[int, dict[str, Any]]]) -> list[BadRow]:
        """Change stored rows by the rules of the service; those of `rows` that it refuses."""
        refused: list[BadRow] = []
        while wanted:
            changes = [{"id_key": key, **values} for key, (_, values) in wanted.items()]
            try:
                with self._session.begin_nested():
                    changed = self._service.change_many(changes)
            except ShopError as error:
                place = error.loc[1] if error.loc is not None else 0
                assert isinstance(place, int)
                bad, _ = wanted.pop(changes[place]["id_key"])
                refused.append(BadRow(rows.lines[bad], error.message))
            else:
                self.updated += changed.count
                self.unchanged += len(wanted) - changed.count
                self._events.add_changes(changed.happenings)
                break
        self._session.expunge_all()
        return refused

    def _already_there(self, rows: Rows, place: int) -> BadRow:
        field = self._entity.key_field
        error = AlreadyExists(self._service.thing, field, text_of(rows.columns[field][place]))
        return BadRow(rows.lines[place], f"{field}: {error}")


def _value(kind: type[Any], cell: str) -> Any:
    """The value of a cell that COPY would read."""
    if kind is bool:
        return cell == str(True)
    if kind is object:
        return json.loads(text_of(cell))
    return text_of(cell) if kind is str else kind(cell)
