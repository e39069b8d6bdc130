"""The statements that read lists, one per shape: which filters, which order, which columns.

They are built once and reused, because building costs more than running.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    FromClause,
    Select,
    func,
    literal_column,
    select,
    true,
    union_all,
)

from models.base import list_indexes
from repositories.query import counts
from repositories.query.filters import PUBLIC
from repositories.query.list_shape import MANY, ListedTable, ListShape, Ranking
from repositories.query.merged_lists import ListIndex, index_for, index_led_by, walks
from repositories.query.pages import AFTER, REACH, columns_of, cut_out, limited, together
from repositories.query.statement_cache import memoized
from repositories.query.stepped_lists import by_steps

# So few rows are found by their value and sorted faster than they are found in the order of the keys.
_FEW = 2000


@memoized
def matching(listed: type[ListedTable], filters: tuple[str, ...], are_many: bool = False) -> Select[Any]:
    """The rows that match, without their columns."""
    rows: Select[Any] = select(literal_column("1")).select_from(listed.model)
    return rows.where(*_filtering(listed, filters, are_many))


@memoized
def are_many_statement(listed: type[ListedTable], filters: tuple[str, ...]) -> Select[Any]:
    """Whether the rows are so many that they are ranked by classes (see `Ranking`)."""
    rows = matching(listed, filters, are_many=True).limit(MANY).subquery()
    return select(func.count() >= MANY).select_from(rows)


@memoized
def size_statement(listed: type[ListedTable], filters: tuple[str, ...], are_many: bool = False) -> Select[Any]:
    """How many rows match: the columns of `counts.columns`."""
    return select(*_size_columns(listed, filters, are_many))


@memoized
def page_statement(listed: type[ListedTable], shape: ListShape, counted: bool) -> Select[Any]:
    """The rows of a page; if `counted`, with the columns of `counts.columns` behind each."""
    ranking = ranking_of(listed, shape)
    if ranking is not None:
        return (_classed if shape.are_many else _ranked)(listed, shape, ranking, counted)
    if listed.rankings.keys() & shape.filters:
        return (_plain if shape.are_many else _found_once)(listed, shape, counted)
    if len(shape.sort) == 1 and shape.sort[0][0] in listed.steps:
        size = _size_columns(listed, shape.filters) if counted else ()
        return by_steps(listed, shape, _conditions(listed, shape), size)
    if (index := _index(listed, shape)) is not None:
        return _merged(listed, shape, index, counted)
    if (column := _equal_column(listed, shape)) is not None:
        return _by_the_end(listed, shape, column, counted)
    if _has_two_ends(listed, shape):
        return _between(listed, shape, counted)
    return _plain(listed, shape, counted)


def _plain(listed: type[ListedTable], shape: ListShape, counted: bool) -> Select[Any]:
    """The page, by an index that has its rows in their order."""
    columns = columns_of(listed.model, shape.fields)
    size = _size_columns(listed, shape.filters, shape.are_many) if counted else ()
    statement = select(*columns, *size).where(*_conditions(listed, shape))
    if shape.by_key:
        statement = statement.where(_key(listed, shape) > AFTER)
    return limited(statement.order_by(*_order(listed, shape)), shape)


def _conditions(listed: type[ListedTable], shape: ListShape) -> list[ColumnElement[bool]]:
    """The conditions that every row of the page fulfils."""
    if _only_ranges(listed, shape):
        return [listed.ranges.get(name, listed.filters[name]) for name in shape.filters]
    return _filtering(listed, shape.filters, shape.are_many)


def _filtering(listed: type[ListedTable], filters: tuple[str, ...], are_many: bool) -> list[ColumnElement[bool]]:
    unranked = _unranked(listed, filters)
    rankings = [listed.rankings[name] for name in filters if name in listed.rankings]
    if are_many:
        return [*unranked, *(ranking.many for ranking in rankings)]
    return [*unranked, *(listed.model.id_key.in_(ranking.few(unranked)) for ranking in rankings)]


def _unranked(listed: type[ListedTable], filters: tuple[str, ...]) -> list[ColumnElement[bool]]:
    return listed.conditions([name for name in filters if name not in listed.rankings])


def _size_columns(
    listed: type[ListedTable], filters: tuple[str, ...], are_many: bool = False
) -> tuple[ColumnElement[Any], ...]:
    rows = _counted(listed, filters, are_many).limit(counts.COUNTED_TO).subquery()
    counted = select(func.count()).select_from(rows).scalar_subquery()
    return counts.columns(listed.model.__tablename__, counted)


def _counted(listed: type[ListedTable], filters: tuple[str, ...], are_many: bool) -> Select[Any] | CompoundSelect[Any]:
    """The rows that match, for a count: by the index that has their values, if there is one."""
    index = None if listed.rankings.keys() & filters else index_for(listed, filters)
    if index is None:
        return matching(listed, filters, are_many)
    rows: Select[Any] = (
        select(literal_column("1")).select_from(listed.model).where(*index.further_conditions(listed, filters))
    )
    return together([part.limit(counts.COUNTED_TO) for _, part in walks(listed, rows, index)])


def _order(listed: type[ListedTable], shape: ListShape) -> list[ColumnElement[Any]]:
    if not shape.sort:
        return [_in_order_of_keys(listed, shape) if _only_ranges(listed, shape) else listed.model.id_key.asc()]
    columns = [
        getattr(listed.model, name).desc() if descends else getattr(listed.model, name).asc()
        for name, descends in shape.sort
    ]
    # The key makes every order total, so that no row is on two pages.
    return [*columns, listed.model.id_key.asc()]


def _only_ranges(listed: type[ListedTable], shape: ListShape) -> bool:
    return bool(asked := _asked(shape)) and not shape.sort and listed.ranges.keys() >= asked


def _has_two_ends(listed: type[ListedTable], shape: ListShape) -> bool:
    return _only_ranges(listed, shape) and len(_asked(shape)) > 1


def _asked(shape: ListShape) -> set[str]:
    """The filters that decide how rows are found. Nearly all rows are public, so that this leaves out few of them."""
    return set(shape.filters) - {PUBLIC}


def _key(listed: type[ListedTable], shape: ListShape) -> Any:
    """The key in the form of the index to be used; `models.base.range_index` says why there are two."""
    key = listed.model.id_key
    return key + literal_column("0") if _only_ranges(listed, shape) else key


def _in_order_of_keys(listed: type[ListedTable], shape: ListShape) -> ColumnElement[Any]:
    """The order of the keys, written so that PostgreSQL uses the GiST index of key and column.

    That index skips whole ranges of keys without a match. A scan of the primary key would visit all rows of such a
    range: every order of three years, to find those of this week.
    """
    start = AFTER if shape.by_key else literal_column("0::bigint")
    distance: ColumnElement[Any] = _key(listed, shape).self_group().op("<->")(start)
    return distance


def _between(listed: type[ListedTable], shape: ListShape, counted: bool) -> Select[Any]:
    """The page of a range with two ends, in the order of the keys.

    Every node of the GiST index that reaches beyond one end has a row there. But between two ends a node may have
    none although its values go from below to above, and of a narrow range most nodes are like that. The planner does
    not know this. So the statement counts the rows first, and scans that index only if they are many.
    """
    key = listed.model.id_key
    few = matching(listed, shape.filters).with_only_columns(key).limit(literal_column(str(_FEW + 1))).cte("few")
    are_few = select(func.count() <= literal_column(str(_FEW))).select_from(few).scalar_subquery()
    sorted_keys = select(few.c.id_key).where(are_few).order_by(few.c.id_key)
    walked_keys = select(key).where(*_conditions(listed, shape), ~are_few).order_by(*_order(listed, shape))
    if shape.by_key:
        sorted_keys = sorted_keys.where(few.c.id_key > AFTER)
        walked_keys = walked_keys.where(_key(listed, shape) > AFTER)
    found = union_all(sorted_keys.limit(REACH), walked_keys.limit(REACH)).subquery()
    size = _size_columns(listed, shape.filters, shape.are_many) if counted else ()
    return cut_out(listed, shape, found, size)


def ranking_of(listed: type[ListedTable], shape: ListShape) -> Ranking | None:
    """The ranking that decides the order of the list, if nothing else does."""
    if shape.sort or shape.by_key:
        return None
    return next((listed.rankings[name] for name in shape.filters if name in listed.rankings), None)


def _ranked(listed: type[ListedTable], shape: ListShape, ranking: Ranking, counted: bool) -> Select[Any]:
    """Find the matches once, then count and rank them: to compute how similar texts are takes most of the time."""
    found = _keys(listed, shape, ranking.similarity).cte("found")
    size = counts.columns(listed.model.__tablename__, _number_of(found)) if counted else ()
    return cut_out(listed, shape, found, size)


def _found_once(listed: type[ListedTable], shape: ListShape, counted: bool) -> Select[Any]:
    """The page, in a requested order, of few rows that take long to be found: they are found once, and counted."""
    found = select(listed.model.id_key).where(*_conditions(listed, shape)).cte("found")
    size = counts.columns(listed.model.__tablename__, _number_of(found)) if counted else ()
    columns = [*columns_of(listed.model, shape.fields), *size]
    statement = select(*columns).join_from(found, listed.model, listed.model.id_key == found.c.id_key)
    if shape.by_key:
        statement = statement.where(listed.model.id_key > AFTER)
    return limited(statement.order_by(*_order(listed, shape)), shape)


def _number_of(rows: FromClause) -> ColumnElement[int]:
    return select(func.count()).select_from(rows).scalar_subquery()


def _classed(listed: type[ListedTable], shape: ListShape, ranking: Ranking, counted: bool) -> Select[Any]:
    """The page of many rows that come class by class. Of each class, only rows up to the end of the page are read.

    Most pages are of the first class alone. Then PostgreSQL does not search the others.
    """
    classes = (*ranking.classes, ranking.many)
    first, *others = [_class(listed, shape, classes, place) for place in range(len(classes))]
    shown = first.cte("first")
    are_more = _number_of(shown) < REACH
    parts = union_all(select(shown), *(part.where(are_more) for part in others))
    size = _size_columns(listed, shape.filters, shape.are_many) if counted else ()
    return cut_out(listed, shape, parts.subquery(), size)


def _class(
    listed: type[ListedTable], shape: ListShape, classes: Sequence[ColumnElement[bool]], place: int
) -> Select[Any]:
    """The keys of the class at `place`, each with a value that is larger the earlier the class comes."""
    value: ColumnElement[int] = literal_column(str(len(classes) - place))
    # A row of a class is among the many anyway. With a second condition the planner would expect fewer rows, and not scan by key.
    of_class = [classes[place], *(earlier.is_not(true()) for earlier in classes[:place])]
    keys = select(listed.model.id_key, value.label("value")).where(*_unranked(listed, shape.filters), *of_class)
    return keys.order_by(listed.model.id_key).limit(REACH)


def _index(listed: type[ListedTable], shape: ListShape) -> ListIndex | None:
    """The index with columns of few values for this list (see `merged_lists`)."""
    if _only_ranges(listed, shape) or len(shape.sort) > 1:
        return None
    return index_for(listed, shape.filters, *(name for name, _ in shape.sort))


def _merged(listed: type[ListedTable], shape: ListShape, index: ListIndex, counted: bool) -> Select[Any]:
    """The page by walks of the index, in the order of the keys or of one of its columns."""
    name, descends = shape.sort[0] if shape.sort else ("", False)
    keys = select(listed.model.id_key).where(*index.further_conditions(listed, shape.filters))
    by_key = name == "id_key"
    parts = []
    for values, part in walks(listed, keys, index, descends=by_key and descends, by_key=shape.by_key):
        value = listed.model.id_key if by_key else values.get(name)
        parts.append(part if value is None else part.add_columns(value.label("value")))
    found = together([part.limit(REACH) for part in parts]).subquery()
    size = _size_columns(listed, shape.filters, shape.are_many) if counted else ()
    return cut_out(listed, shape, found, size, ascending=not descends)


def _equal_column(listed: type[ListedTable], shape: ListShape) -> Any | None:
    """The only column of the order, if rows may be equal in it and its index has these in another order than that of keys."""
    if len(shape.sort) != 1:
        return None
    ((name, descends),) = shape.sort
    stored = listed.model.__table__.c[name]
    differs = stored.primary_key or (stored.unique and not stored.nullable)
    is_read_forwards = not descends and (name,) in list_indexes(stored.table)
    return None if differs or is_read_forwards else getattr(listed.model, name)


def _by_the_end(listed: type[ListedTable], shape: ListShape, column: Any, counted: bool) -> Select[Any]:
    """The page of a list sorted by a column in which many rows may be equal, found by the value at its end.

    Rows of equal value stay in the order of their keys. An index that is read backwards has them the other way round, and
    one with more columns before the key in the order of these; PostgreSQL would sort all rows of the first value. So the
    statement finds the value at which the page ends: rows before it are fewer than those up to the end of the page, and of
    the rows with it as many are read in the order of their keys.
    """
    descends = shape.sort[0][1]
    keys = _keys(listed, shape, column)
    order = column.desc() if descends else column.asc()
    first = keys.order_by(order).limit(REACH).subquery()
    # NULL stands above all values. It decides the end only if the page reaches no value at all.
    at_end = first.c.value.asc() if descends else first.c.value.desc().nulls_last()
    ends = select(first.c.value).order_by(at_end).limit(1).cte("ends")
    last = select(ends.c.value).scalar_subquery()
    parts = [keys.where(column > last if descends else column < last).order_by(order)]
    index = index_led_by(listed, column.key)
    if index is None:
        parts.append(keys.where(column == last).order_by(listed.model.id_key))
    else:
        parts += [part for _, part in walks(listed, keys, index.with_value(column.key, last))]
    if listed.model.__table__.c[column.key].nullable:
        parts.append(keys.where(column.is_(None)).order_by(listed.model.id_key))
    found = union_all(*(part.limit(REACH) for part in parts)).subquery()
    size = _size_columns(listed, shape.filters, shape.are_many) if counted else ()
    return cut_out(listed, shape, found, size, ascending=not descends)


def _keys(listed: type[ListedTable], shape: ListShape, value: ColumnElement[Any]) -> Select[Any]:
    """The keys of the rows that match, each with a `value` to sort by."""
    return select(listed.model.id_key, value.label("value")).where(*_conditions(listed, shape))
