"""What becomes of a row of a CSV file whose natural key is stored already, or is that of a row before it in the file."""

from collections.abc import Iterator
from typing import Any, Literal

from sqlalchemy.orm import Session

from repositories.csv.bulk_load import Rows, text_of
from services.bulk import BulkService
from services.csv.cells import BadRow
from services.csv.entities import CsvEntity
from services.errors import AlreadyExists, ShopError
from services.event_writing import BulkEvents

OnDuplicate = Literal["refuse", "skip", "update"]

# So many rows are changed by one call of the service.
_UPDATED_AT_ONCE = 5000


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
        self.updated = self.unchanged = self.skipped = 0

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
        fields = {name: self._entity.table.c[name].type.python_type for name in rows.columns if name in self._fields}
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
    return text_of(cell) if kind is str else kind(cell)
