"""The reads of a list: a page of its rows, and how many there are."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Engine

from repositories.query.bound_query import BoundQuery, Query, Steps
from repositories.query.counts import COUNTED_TO, Count, CountedList, CountedLists, Key, Size, SizeAt, parameters
from repositories.query.explain import Explain
from repositories.query.filters import EVERY_ROW, Visible
from repositories.query.list_shape import ListedTable, ListShape, decisive
from repositories.query.lists import are_many_statement, matching, page_statement, size_statement
from schemas.base import ListQuery, Page
from schemas.json_schema import MAX_KEY

# A longer page takes too long to be rendered on the event loop, and one that lies farther, to be found on the read pool.
_LIGHT_LIMIT = 100
_LIGHT_SKIP = 1000

# A search that finds so many rows by the estimate is not counted: that takes long, and the result is an estimate anyway.
_SURELY_LONG = 2 * COUNTED_TO

_counted_lists = CountedLists()


class ListQueries(ListedTable):
    """A table whose lists are read."""

    @classmethod
    def rows_query(cls, query: ListQuery, fields: tuple[str, ...]) -> Query[Sequence[Any]]:
        """The rows that `query` asks for, and nothing about the others."""
        shape, values = _shape(query, fields, query.filters())

        def bind(database: Engine) -> Steps[Sequence[Any]]:
            return (yield BoundQuery(page_statement(cls, shape, counted=False), values))

        return Query(bind, _is_light(query))

    @classmethod
    def page_query(
        cls, query: ListQuery, fields: tuple[str, ...], visible: Visible = EVERY_ROW, **fixed: Any
    ) -> Query[Page]:
        """The rows that `query` asks for, and how many match in all. `fixed` are filters the client cannot change.

        Rows that are not `visible` are neither shown nor counted.
        """
        wanted = {**query.filters(), **fixed, **visible}
        shape, values = _shape(query, fields, wanted)

        def bind(database: Engine) -> Steps[Page]:
            are_many = yield from cls._are_many(wanted)
            listed = replace(shape, are_many=True) if are_many else shape
            if are_many and (estimate := (yield from cls._estimate(wanted))) > _SURELY_LONG:
                rows = yield BoundQuery(page_statement(cls, listed, counted=False), values)
                return Page(rows, estimate, estimated=True)
            key = CountedLists.key(database, cls.model.__tablename__, wanted)
            known = _counted_lists.get(key)
            rows = yield BoundQuery(page_statement(cls, listed, counted=True), {**values, **parameters(known)})
            count = _count_in(rows, query)
            size = (
                cls._size(key, wanted, are_many) if count is None else cls._size_from_count(key, wanted, count, known)
            )
            return Page(rows, *(yield from size))

        return Query(bind, not fixed and _is_light(query))

    @classmethod
    def size_query(cls) -> Query[SizeAt]:
        """How many rows there are."""

        def bind(database: Engine) -> Steps[SizeAt]:
            key = CountedLists.key(database, cls.model.__tablename__, {})
            known = _counted_lists.get(key)
            count = yield from cls._count({}, known)
            size = yield from cls._size_from_count(key, {}, count, known)
            is_exact = count.snapshot is not None and not size.estimated
            return SizeAt(size, count.snapshot.partition(" ")[0] if is_exact and count.snapshot else None)

        return Query(bind)

    @classmethod
    def _size(cls, key: Key, wanted: Mapping[str, Any], are_many: bool = False) -> Steps[Size]:
        """How many rows match the filters `wanted`."""
        known = _counted_lists.get(key)
        count = yield from cls._count(wanted, known, are_many)
        return (yield from cls._size_from_count(key, wanted, count, known))

    @classmethod
    def _count(cls, wanted: Mapping[str, Any], known: CountedList | None, are_many: bool = False) -> Steps[Count]:
        """The rows that match are counted, unless the count that is `known` still holds."""
        rows = yield BoundQuery(size_statement(cls, tuple(sorted(wanted)), are_many), {**wanted, **parameters(known)})
        return Count(*rows[0])

    @classmethod
    def _size_from_count(
        cls, key: Key, wanted: Mapping[str, Any], count: Count, known: CountedList | None
    ) -> Steps[Size]:
        """The size by the count, or by the planner's estimate for a list that is too long to be counted."""
        size = _counted_lists.size(key, count, known)
        if size is not None:
            return size
        assert count.rows is not None, "only a list that is known is not counted"
        estimate = count.rows if count.rows < COUNTED_TO else max(count.rows, (yield from cls._estimate(wanted)))
        return _counted_lists.keep(key, count, Size(estimate, estimated=True))

    @classmethod
    def _are_many(cls, wanted: Mapping[str, Any]) -> Steps[bool]:
        """Whether a filter that ranks its rows finds so many that they are ranked by classes (see `Ranking`)."""
        if not cls.rankings.keys() & wanted.keys():
            return False
        rows = yield BoundQuery(are_many_statement(cls, tuple(sorted(wanted))), wanted)
        return bool(rows[0][0])

    @classmethod
    def _estimate(cls, wanted: Mapping[str, Any]) -> Steps[int]:
        """How many rows match by the planner's estimate, which takes statistics and no rows."""
        rows = yield BoundQuery(Explain(matching(cls, tuple(sorted(wanted)), are_many=True)), wanted)
        return int(rows[0][0][0]["Plan"]["Plan Rows"])


def _count_in(rows: Sequence[Any], query: ListQuery) -> Count | None:
    """The count in the rows of a page. A page without rows has one only if it is the first: zero."""
    if not rows:
        return Count(0) if query.after is None and not query.skip else None
    count = Count(*rows[0][-len(Count._fields) :])
    if query.after is None and len(rows) < query.limit:
        count = count._replace(rows=query.skip + len(rows))
    return count


def _paging(query: ListQuery) -> dict[str, int | None]:
    # No key lies outside of these bounds, and PostgreSQL refuses to compare one with what is no 64-bit number.
    after = None if query.after is None else min(max(query.after, 0), MAX_KEY)
    reach = min(query.skip + query.limit, MAX_KEY)
    return {"limit": query.limit, "skip": query.skip, "reach": reach, "after": after}


def _is_light(query: ListQuery) -> bool:
    return query.is_plain and query.skip <= _LIGHT_SKIP and query.limit <= _LIGHT_LIMIT


def _shape(query: ListQuery, fields: tuple[str, ...], wanted: Mapping[str, Any]) -> tuple[ListShape, Mapping[str, Any]]:
    """The shape of the list with the filters `wanted`, and the values of its page's parameters."""
    shape = ListShape(fields, tuple(sorted(wanted)), decisive(query.sort_keys()), by_key=query.after is not None)
    return shape, {**wanted, **_paging(query)}
