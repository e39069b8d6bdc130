"""Which events the writes of services tell: one for each change, or one for all rows of a bulk write or import.

What a change tells is decided here and in the hooks that services overwrite; `repositories.event_writing` writes it.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar

from sqlalchemy.orm import Session

from models import Row
from repositories.event_writing import Happening, Told, tell, tell_import
from repositories.order import OrderRepository
from repositories.review import ReviewRepository

# A write about more rows than this tells one event about all of them.
MOST_EVENTS = 1000
# An import shows no more ranges of keys than this; then those that are next to each other become one.
_MOST_RANGES = 1000


def values_before(row: Row, changes: Iterable[str]) -> dict[str, Any]:
    """The values that these fields of the row have before they change."""
    return {name: getattr(row, name) for name in changes}


class TellsEvents:
    """The events about the rows of one entity."""

    session: Session
    repository_type: ClassVar[type[Any]]

    @classmethod
    def happenings(cls, row: Any, old: Mapping[str, Any]) -> Iterable[Happening]:
        """What a change of the row tells; `old` are the values that its changed fields had before."""
        return _happenings(cls.repository_type.told, "updated", [row.id_key])

    def tell_change(self, row: Any, old: Mapping[str, Any]) -> None:
        """Tell of a change that is stored."""
        self._tell(self.happenings(row, old))

    def tell_deletion(self, row: Any) -> None:
        """Tell of a deletion, while everything is still there."""
        self._tell(_happenings(self.repository_type.told, "deleted", [row.id_key]))

    def _tell(self, happenings: Iterable[Happening]) -> None:
        told: Told | None = self.repository_type.told
        if told is not None:
            tell(self.session, told, happenings)


def tell_of_orders(session: Session, order_ids: Iterable[int]) -> None:
    """Tell that something of these locked orders has changed beside their status."""
    tell(session, OrderRepository.told, _happenings(OrderRepository.told, "updated", order_ids))


def tell_of_reviews(session: Session, happened: str, review_ids: Sequence[int]) -> None:
    """Tell what happened to these locked reviews with something that they refer to."""
    events = BulkEvents(session, ReviewRepository.told)
    events.add(happened, review_ids)
    events.tell()


class BulkEvents:
    """Collects what happens to many rows of a table, and tells it in the end: see `MOST_EVENTS`.

    The rows must stay locked until then. A row that was changed twice is told of once.
    """

    def __init__(self, session: Session, told: Told | None) -> None:
        self._session, self._told = session, told
        self._keys = {"created": KeyRanges(), "updated": KeyRanges(), "deleted": KeyRanges()}
        self._happenings: dict[tuple[str, int], Happening] = {}
        self._created: set[int] = set()

    def add(self, happened: str, keys: Sequence[int]) -> None:
        """Rows to which this happened; `deleted` ones are to be told before they are."""
        self._keys[happened].add(keys)
        if self._are_many:
            return
        self._keep(_happenings(self._told, happened, keys))
        if happened == "created":
            self._created.update(keys)

    def add_changes(self, happenings: Iterable[Happening]) -> None:
        """These, each about a row, as `TellsEvents.happenings` makes them."""
        found = [happening for happening in happenings if happening.row_id not in self._created]
        keys = list(dict.fromkeys(happening.row_id for happening in found))
        self._keys["updated"].add(keys)
        self._keep(found)

    def tell(self) -> None:
        """Write the events, if the rows are told of."""
        if self._told is None:
            return
        if self._are_many:
            resource = self._told.model.__tablename__
            tell_import(self._session, resource, {"resource": resource, **self._as_one()})
        else:
            tell(self._session, self._told, self._happenings.values())

    @property
    def _are_many(self) -> bool:
        return sum(keys.count for keys in self._keys.values()) > MOST_EVENTS

    def _keep(self, happenings: Iterable[Happening]) -> None:
        if self._are_many:
            self._happenings.clear()
            return
        for happening in happenings:
            place = happening.type, happening.row_id
            before = self._happenings.get(place)
            # What was before the first change, and is after the last.
            old = {name: value for name, value in before.more.items() if name.startswith("old_")} if before else {}
            self._happenings[place] = Happening(*place, {**happening.more, **old})

    def _as_one(self) -> dict[str, Any]:
        return {name: {"rows": keys.count, "keys": keys.ranges()} for name, keys in self._keys.items()}


class KeyRanges:
    """The keys of many rows, as ranges. `count` are the keys; ranges of very many may have others between."""

    def __init__(self) -> None:
        self.count = 0
        self._ranges: list[tuple[int, int]] = []

    def add(self, keys: Sequence[int]) -> None:
        self.count += len(keys)
        for key in keys:
            first, last = self._ranges[-1] if self._ranges else (0, -1)
            if key == last + 1:
                self._ranges[-1] = first, key
            else:
                self._ranges.append((key, key))
        if len(self._ranges) > 2 * _MOST_RANGES:
            self._ranges = _joined(self._ranges)

    def ranges(self) -> list[tuple[int, int]]:
        """The first and the last key of each, in their order."""
        return _joined(self._ranges)


def _joined(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The ranges in order, none overlapping, and no more than there may be: the smallest gaps are closed first."""
    given = sorted(ranges)
    gaps = sorted((right[0] - left[1] for left, right in pairwise(given)), reverse=True)
    widest = gaps[_MOST_RANGES - 1] if len(gaps) >= _MOST_RANGES else 1
    joined: list[tuple[int, int]] = []
    for first, last in given:
        if joined and first - joined[-1][1] <= max(widest, 1):
            joined[-1] = joined[-1][0], max(last, joined[-1][1])
        else:
            joined.append((first, last))
    return joined


def _happenings(told: Told | None, happened: str, keys: Iterable[int]) -> list[Happening]:
    kind = None if told is None else told.type(happened)
    return [] if kind is None else [Happening(kind, key) for key in keys]
