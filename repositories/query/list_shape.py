"""What a list is, apart from the values that are asked for: its table, its filters, its order, its columns."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from sqlalchemy import ColumnElement, Select

Sort = tuple[tuple[str, bool], ...]

# Of so many rows, nobody looks for more that are only a little like them.
MANY = 1000


def decisive(sort: Sort) -> Sort:
    """The part of an order that decides: a column mentioned again does not, nor what stands behind the key."""
    first: dict[str, bool] = {}
    for name, descends in sort:
        first.setdefault(name, descends)
        if name == "id_key":
            break
    return tuple(first.items())


@dataclass(frozen=True, slots=True)
class Ranking:
    """A filter that orders what it finds, the best match first.

    To tell how alike texts are takes long. Where `MANY` of the rows that fulfil the other filters are `many`, or more,
    just these are found, and they come class by class: those of which the first of `classes` is true, then the second,
    at last all others. Else `few` are found, given the conditions of the other filters, and the most like come first.
    """

    similarity: ColumnElement[Any]
    few: Callable[[Sequence[ColumnElement[bool]]], Select[Any]]
    many: ColumnElement[bool]
    classes: tuple[ColumnElement[bool], ...]


class ListedTable:
    """A table whose rows are listed. A subclass states its model and what can be asked for."""

    model: ClassVar[type[Any]]
    # Named conditions whose bound parameter has the filter's name.
    filters: ClassVar[Mapping[str, ColumnElement[bool]]] = {}
    # Those by a value that a GiST index holds behind the key, as that index has it: see `_in_order_of_keys`.
    ranges: ClassVar[Mapping[str, ColumnElement[bool]]] = {}
    # Filters that bring an order of their own; what they find depends on the other filters.
    rankings: ClassVar[Mapping[str, Ranking]] = {}


@dataclass(frozen=True, slots=True)
class ListShape:
    """A list apart from its values. `by_key` is a page by key; of `are_many`, see `Ranking`."""

    fields: tuple[str, ...]
    filters: tuple[str, ...]
    sort: Sort = ()
    by_key: bool = False
    are_many: bool = False
