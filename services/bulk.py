"""Creations, changes and deletions of many rows at once: the rules of one row for each, by few statements, all or nothing."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy.exc import DBAPIError

from models import Row
from repositories.audit_trail import record
from repositories.event_writing import Happening
from services.base import BaseService
from services.errors import AlreadyExists, HasChanged, NotFound, ShopError
from services.event_writing import MOST_EVENTS, BulkEvents, values_before
from services.identity.audit import old_and_new, old_values
from services.integrity import referring_column, still_has, written_in_parts

M = TypeVar("M", bound=Row)
T = TypeVar("T")

_KEY = "id_key"


@dataclass(frozen=True, slots=True)
class Change(Generic[M]):
    """The changes of a locked row; `place` is its index in the request."""

    place: int
    row: M
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Changed(Generic[M]):
    """Rows that were to change: `count` of them really did. What happened is for the caller to tell."""

    rows: list[M]
    count: int
    happenings: list[Happening]


class BulkService(BaseService[M]):
    """A service whose rows are also changed and deleted by the thousand.

    Its rules about one row stay in the hooks of `BaseService`. A rule that would query the database for each row can be
    written for all rows at once, in `before_updates` and `before_deletes`.
    """

    def create_many(
        self, given: Sequence[Mapping[str, Any]], fields: tuple[str, ...], shown: Callable[[list[Any]], T]
    ) -> Sequence[T]:
        """What `shown` makes of the new rows, some at a time: of all or of none. It gets the columns `fields`, the key first.

        Raises what `create` would raise, with the index of the row in `given`.
        """
        rows = [dict(values) for values in given]
        for values in rows:
            self.complete_new(values)
            self.complete(values)
            self.before_create(values)
        self._lock_all_references(rows)
        # A new row has no key yet. Its place, below all keys, stands for it.
        self._require_unique(rows, range(-len(rows), 0))
        defaults = {name: self.defaults.get(name) for values in rows for name in values}
        rows = [{**defaults, **values} for values in rows]

        are_many = len(rows) > MOST_EVENTS

        def added(some: list[Any]) -> tuple[list[int], T]:
            for row in some:
                self.was_added(row)
            return [row.id_key for row in some], shown(some)

        def add(some: Sequence[Mapping[str, Any]]) -> list[tuple[list[int], T]]:
            return self.repository.add_all(some, fields, added, told=not are_many)

        written = written_in_parts(self.session, rows, add)
        if are_many:
            events = self.bulk_events()
            for keys, _ in written:
                events.add("created", keys)
            events.tell()
        return [part for _, part in written]

    def update_many(self, wanted: Sequence[Mapping[str, Any]]) -> list[M]:
        """The rows, in the order of `wanted`, with the changes applied: all of them or none.

        Each of `wanted` holds an `id_key`, which comes once, perhaps the `updated_at` that was read, and the fields to
        change. Raises what `update` would raise, with the place in `wanted`.
        """
        changed = self.change_many(wanted)
        events = self.bulk_events()
        events.add_changes(changed.happenings)
        events.tell()
        return changed.rows

    def change_many(self, wanted: Sequence[Mapping[str, Any]]) -> Changed[M]:
        """As `update_many`, but what happened is for the caller to tell."""
        rows = self._locked([(one[_KEY], one.get("updated_at")) for one in wanted])
        changes = [self._change(place, row, wanted[place]) for place, row in enumerate(rows)]
        real = [change for change in changes if change.values]
        self.before_updates(real)
        values = [change.values for change in changes]
        self._lock_all_references(values)
        self._require_unique(values, [row.id_key for row in rows])
        audited = [(change.row.id_key, old_and_new(self.session, change.row, change.values)) for change in real]
        old = [values_before(change.row, change.values) for change in real]
        self._apply_all(real)
        for change in real:
            with at_place(change.place):
                self.after_update(change.row)
            self.has_changed(change.row)
        record(self.session, self.resource, audited)
        told = zip(real, old, strict=True)
        happenings = [one for change, before in told for one in self.happenings(change.row, before)]
        return Changed(rows, len(real), happenings)

    def delete_many(self, wanted: Sequence[Mapping[str, Any]]) -> None:
        """Remove the rows, of which each of `wanted` names one as for `update_many`: all of them or none.

        Raises what `delete` would raise, with the place in `wanted`.
        """
        rows = self._locked([(one[_KEY], one.get("updated_at")) for one in wanted], to_delete=True)
        keys = [row.id_key for row in rows]
        events = self.bulk_events()
        events.add("deleted", keys)
        events.tell()
        self.before_deletes(rows)
        record(self.session, self.resource, ((row.id_key, old_values(self.session, row)) for row in rows))
        try:
            with self.session.begin_nested():
                self.repository.delete_all(keys)
        except DBAPIError as error:
            self._raise_referred_to(keys, error)
            raise
        for row in rows:
            self.was_removed(row)

    def bulk_events(self) -> BulkEvents:
        """What collects the events of a write about many rows."""
        return BulkEvents(self.session, self.repository_type.told)

    # -- hooks -------------------------------------------------------------------------------------

    def before_updates(self, changes: Sequence[Change[M]]) -> None:
        """As `before_update`, for many rows."""
        for change in changes:
            with at_place(change.place):
                self.before_update(change.row, change.values)

    def before_deletes(self, rows: Sequence[M]) -> None:
        """As `before_delete`, for many rows."""
        for place, row in enumerate(rows):
            with at_place(place):
                self.before_delete(row)

    # -- steps -------------------------------------------------------------------------------------

    def _locked(self, wanted: Sequence[tuple[int, Any]], *, to_delete: bool = False) -> list[M]:
        """The rows with these keys, locked. Raises `HasChanged` where a key comes with another version than the row's."""
        found = self.repository.lock_many((key for key, _ in wanted), to_delete=to_delete)
        rows = []
        for place, (key, read_at) in enumerate(wanted):
            row = found.get(key)
            if row is None:
                raise NotFound(self.thing, key).at(place, _KEY)
            if read_at is not None and read_at != row.updated_at:
                raise HasChanged(self.thing, key).at(place, "updated_at")
            rows.append(row)
        return rows

    def _change(self, place: int, row: M, wanted: Mapping[str, Any]) -> Change[M]:
        values = {name: value for name, value in wanted.items() if name not in (_KEY, "updated_at")}
        return Change(place, row, self.real_changes(row, values))

    def _apply_all(self, changes: Sequence[Change[M]]) -> None:
        names = sorted({name for change in changes for name in change.values})
        # A row keeps the values that it does not change: it is locked, so they are what is stored.
        rows = [
            {_KEY: change.row.id_key, **{name: change.values.get(name, getattr(change.row, name)) for name in names}}
            for change in changes
        ]
        try:
            written_in_parts(self.session, rows, self.repository.update_all)
        except ShopError as error:
            # The index is among the rows that really change; the client knows the index in its request.
            if error.loc is not None and isinstance(error.loc[1], int):
                error.loc = ("body", changes[error.loc[1]].place, *error.loc[2:])
            raise

    def _lock_all_references(self, rows: Sequence[Mapping[str, Any]]) -> None:
        for field, service in self.references.items():
            wanted = [values.get(field) for values in rows]
            existing = service.repository_type(self.session).lock_key_share({key for key in wanted if key is not None})
            for place, key in enumerate(wanted):
                if key is not None and key not in existing:
                    raise NotFound(service.thing, key).at(place, field)

    def _require_unique(self, rows: Sequence[Mapping[str, Any]], row_ids: Sequence[int]) -> None:
        """Raise `AlreadyExists` for the first row whose text another row has; the index has the last word at the write."""
        for field, form_of in self.unique.items():
            wanted = [(place, values[field]) for place, values in enumerate(rows) if values.get(field) is not None]
            forms = [form_of(text) for _, text in wanted]
            holders = self.repository.holders(field, forms)
            for form, (place, text) in zip(forms, wanted, strict=True):
                if holders.setdefault(form, row_ids[place]) != row_ids[place]:
                    raise AlreadyExists(self.thing, field, text).at(place, field)

    def _raise_referred_to(self, keys: Sequence[int], error: DBAPIError) -> None:
        """Raise a conflict about the first row that others point to, if the error is a violated foreign key."""
        column = referring_column(error)
        if column is None:
            return
        referred_to = self.repository.referred_to(column, keys)
        for place, key in enumerate(keys):
            if key in referred_to:
                raise still_has(self.thing, key, column.table.name).at(place, _KEY) from error


@contextmanager
def at_place(place: int) -> Iterator[None]:
    """Within it, a refusal is about the row at `place`."""
    try:
        yield
    except ShopError as error:
        if error.loc is None:
            raise error.at(place, _KEY) from None
        if error.loc[0] == "body":
            error.loc = ("body", place, *error.loc[1:])
        raise
