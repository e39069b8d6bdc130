"""The shape of a list, apart from the values of its filters: its table, filters, order and columns."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from sqlalchemy import ColumnElement, Select

Sort = tuple[tuple[str, bool], ...]

# A search with so many matches does not look for similar texts as well.
MANY = 1000


def decisive(sort: Sort) -> Sort:
    """The part of an order that has an effect: a repeated column has none, nor has a column behind the key."""
    first: dict[str, bool] = {}
    for name, descends in sort:
        first.setdefault(name, descends)
        if name == "id_key":
            break
    return tuple(first.items())


@dataclass(frozen=True, slots=True)
class Ranking:
    """A filter that orders what it finds, the best match first.

    To compute how similar texts are takes long. Where at least `MANY` of the rows that fulfil the other filters fulfil
    `many`, only these are found, and they come class by class: first those that fulfil the first of `classes`, then the
    second, at last all others. Else the rows of `few` are found, which is given the conditions of the other filters, and
    the most similar come first.
    """

    similarity: ColumnElement[Any]
    few: Callable[[Sequence[ColumnElement[bool]]], Select[Any]]
    many: ColumnElement[bool]
    classes: tuple[ColumnElement[bool], ...]


class ListedTable:
    """A table whose rows are listed. A subclass states its model and its filters."""

    model: ClassVar[type[Any]]
    # Named conditions whose bound parameter has the filter's name.
    filters: ClassVar[Mapping[str, ColumnElement[bool]]] = {}
    # Filters by a value that a GiST index holds behind the key, in the form of the index: see `lists._in_order_of_keys`.
    ranges: ClassVar[Mapping[str, ColumnElement[bool]]] = {}
    # Columns without an index, each with a column of an index that rises with it in steps: see `stepped_lists`.
    steps: ClassVar[Mapping[str, Any]] = {}
    # Filters with an order of their own; what they find depends on the other filters.
    rankings: ClassVar[Mapping[str, Ranking]] = {}

    @classmethod
    def conditions(cls, names: Sequence[str]) -> list[ColumnElement[bool]]:
        """The conditions of the filters with these names. A subclass may have one for several of them together."""
        return [cls.filters[name] for name in names]


@dataclass(frozen=True, slots=True)
class ListShape:
    """A list apart from the values of its filters. `by_key` is a page behind a key; for `are_many` see `Ranking`."""

    fields: tuple[str, ...]
    filters: tuple[str, ...]
    sort: Sort = ()
    by_key: bool = False
    are_many: bool = False
