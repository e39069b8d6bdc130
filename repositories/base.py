"""What every repository can do with the rows of its model: find, lock, list, add, delete.

A subclass states its `model` and its `filters`: named SQL conditions whose bound parameter has the
filter's name. Statements are built once per shape and reused, because building costs more than running.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Generic, TypeVar

from sqlalchemy import Engine, Select, UniqueConstraint, bindparam, func, select
from sqlalchemy.orm import Session

from infrastructure.database.statement_limits import ONLY_LOCKS
from models import Row
from repositories.query.bound_query import BoundQuery, MoreToRead, Query, always
from repositories.query.changed_rows import ChangedRows, stored_forms
from repositories.query.counts import COUNTED_TO, Count, CountedList, CountedLists, Key, Size, parameters
from repositories.query.filters import by_value
from repositories.query.list_shape import ListedTable, ListShape, decisive
from repositories.query.lists import are_many_statement, matching, page_statement, size_statement
from repositories.query.new_rows import parameters_of, row_statement
from repositories.query.statement_cache import memoized
from schemas.base import ListQuery, Page
from schemas.json_schema import MAX_KEY

M = TypeVar("M", bound=Row)

# A page of more rows takes so long to be rendered that nobody should wait behind it, and one that lies farther, to be found.
_LIGHT_LIMIT = 100
_LIGHT_SKIP = 1000

# If a search is believed to find so much, an estimate is what will be told anyway; to count it takes long.
_SURELY_LONG = 2 * COUNTED_TO

_counted_lists = CountedLists()


def is_key(row_id: int) -> bool:
    """Whether a row could have this key at all; PostgreSQL is not asked about others."""
    return 1 <= row_id <= MAX_KEY


class BaseRepository(ListedTable, ChangedRows, Generic[M]):
    """The rows of one table, seen through one session."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        # Every list can be asked for the rows of some keys.
        cls.filters = {**by_value(id_key=cls.model.id_key), **cls.filters}
        cls.forms = stored_forms(cls.model)

    def __init__(self, session: Session) -> None:
        self.session = session

    @classmethod
    def sortable(cls) -> tuple[str, ...]:
        """The columns that a list may be ordered by: the key, the time of creation and what is indexed."""
        table = cls.model.__table__
        indexed = {
            index.columns.keys()[0]
            for index in table.indexes
            if len(index.columns) == len(index.expressions) and not index.dialect_options["postgresql"]["using"]
        }
        unique = {one.columns.keys()[0] for one in table.constraints if isinstance(one, UniqueConstraint)}
        first = ("id_key", "created_at")
        return (*first, *sorted((indexed | unique).difference(first)))

    # -- reads that need no session ----------------------------------------------------------------

    @classmethod
    def row_query(cls, row_id: int, fields: tuple[str, ...]) -> Query[Any | None]:
        """The named columns of a row, or None. `row_id` must be a key."""
        return always(lambda: BoundQuery(_row_statement(cls.model, fields), {"id_key": row_id}, _first))

    @classmethod
    def rows_query(cls, query: ListQuery, fields: tuple[str, ...]) -> Query[Sequence[Any]]:
        """The rows that `query` asks for, and nothing about the others."""
        wanted = query.filters()
        shape, values = _shape(query, fields, wanted), {**wanted, **_paging(query)}
        rows = always(lambda: BoundQuery(page_statement(cls, shape, counted=False), values, tuple))
        return replace(rows, is_light=_is_light(query))

    @classmethod
    def size_query(cls) -> Query[Size]:
        """How many rows there are."""

        def bind(database: Engine) -> BoundQuery[Size]:
            key = CountedLists.key(database, cls.model.__tablename__, {})
            known = _counted_lists.get(key)
            statement = size_statement(cls, ())
            return BoundQuery(statement, parameters(known), lambda rows: _told_by(Count(*rows[0]), key, known))

        return Query(bind, lambda session: cls(session).size({}))

    @classmethod
    def page_query(cls, query: ListQuery, fields: tuple[str, ...]) -> Query[Page]:
        """A page in the order of the keys, and how many rows there are."""
        shape = _shape(query, fields, {})

        def bind(database: Engine) -> BoundQuery[Page]:
            key = CountedLists.key(database, cls.model.__tablename__, {})
            known = _counted_lists.get(key)

            def page(rows: Sequence[Any]) -> Page:
                return Page(rows, *_told_by(_counted_beside(rows, query), key, known))

            statement = page_statement(cls, shape, counted=True)
            return BoundQuery(statement, {**_paging(query), **parameters(known)}, page)

        return Query(bind, lambda session: cls(session).page(query, fields), _is_light(query))

    # -- one row -----------------------------------------------------------------------------------

    def row(self, row_id: int, fields: tuple[str, ...]) -> Any | None:
        """The named columns of a row, or None. The cheap way to read what nobody will change."""
        return self.row_query(row_id, fields)(self.session) if is_key(row_id) else None

    def rows(self, column: str, keys: Sequence[int], fields: tuple[str, ...]) -> Sequence[Any]:
        """The named columns of all rows whose `column` is one of `keys`, in the order of their own keys."""
        return self.session.execute(_rows_statement(self.model, column, fields), {"keys": list(keys)}).all()

    def lock(self, row_id: int) -> M | None:
        """The row as it is now, kept from being changed by others until the transaction ends; None if there is none."""
        return self.lock_many((row_id,)).get(row_id)

    def lock_many(self, row_ids: Iterable[int], *, to_delete: bool = False) -> dict[int, M]:
        """The rows that exist, by key, locked in the order of their keys so that nobody can deadlock."""
        keys = sorted({row_id for row_id in row_ids if is_key(row_id)})
        rows = self.session.scalars(_lock_statement(self.model, to_delete), {"keys": keys}) if keys else ()
        return {row.id_key: row for row in rows}

    def lock_key_share(self, row_id: int) -> bool:
        """Whether the row exists; if so it cannot be deleted before the transaction ends."""
        if not is_key(row_id):
            return False
        return self.session.execute(_hold_statement(self.model), {"id_key": row_id}).first() is not None

    def hold_many(self, row_ids: Iterable[int]) -> set[int]:
        """Those of the keys whose rows exist; these rows cannot be deleted before the transaction ends."""
        keys = sorted({row_id for row_id in row_ids if is_key(row_id)})
        return set(self.session.scalars(_hold_many_statement(self.model), {"keys": keys})) if keys else set()

    def add(self, values: Mapping[str, Any]) -> Any:
        """All columns of the new row with these values. What belongs to it in other tables is written as well."""
        parameters = parameters_of(self.model.__table__, values)
        return self.session.execute(row_statement(type(self)), parameters).one()

    def taken(self, field: str, forms: Sequence[str]) -> set[str]:
        """Those of `forms` of the unique `field` that some row already has."""
        return set(self.holders(field, forms))

    def keys_by(self, field: str) -> dict[str, int]:
        """The keys of all rows by the form of their unique `field`."""
        stored = self.session.execute(select(self.forms[field], self.model.id_key))
        return {row[0]: row[1] for row in stored}

    def delete(self, row: M) -> None:
        """Remove the row at once, and what depends on it."""
        self.session.delete(row)
        self.session.flush()

    # -- many rows ---------------------------------------------------------------------------------

    def page(self, query: ListQuery, fields: tuple[str, ...], **fixed: Any) -> Page:
        """The rows that `query` asks for, and how many match in all. `fixed` are filters the client cannot change."""
        wanted = {**query.filters(), **fixed}
        shape = replace(_shape(query, fields, wanted), are_many=self._are_many(wanted))
        if shape.are_many and (believed := self._estimate(wanted)) > _SURELY_LONG:
            rows = self._execute(page_statement(type(self), shape, counted=False), query, wanted)
            return Page(rows, believed, estimated=True)
        known = _counted_lists.get(self._list_key(wanted))
        rows = self._execute(page_statement(type(self), shape, counted=True), query, {**wanted, **parameters(known)})
        return Page(rows, *self._size_beside(rows, query, wanted, known))

    def size(self, wanted: Mapping[str, Any]) -> Size:
        """How many rows match the filters `wanted`."""
        known = _counted_lists.get(self._list_key(wanted))
        statement = size_statement(type(self), tuple(sorted(wanted)), self._are_many(wanted))
        count = Count(*self.session.execute(statement, {**wanted, **parameters(known)}).one())
        return self._judged(count, wanted, known)

    def _are_many(self, wanted: Mapping[str, Any]) -> bool:
        """Whether a filter that ranks its rows has so many that they are found and ranked in the simple way."""
        statement = are_many_statement(type(self), tuple(sorted(wanted)))
        return statement is not None and bool(self.session.scalar(statement, dict(wanted)))

    def _execute(self, statement: Select[Any], query: ListQuery, values: Mapping[str, Any]) -> Sequence[Any]:
        # By the connection, since no objects are wanted: the session would take as long as the database.
        return self.session.connection().execute(statement, {**values, **_paging(query)}).all()

    def _size_beside(
        self, rows: Sequence[Any], query: ListQuery, wanted: Mapping[str, Any], known: CountedList | None
    ) -> Size:
        """The size of the list, of which `rows` are a page that was read together with the columns of `sizes.columns`."""
        count = _counted_beside(rows, query)
        return self.size(wanted) if count is None else self._judged(count, wanted, known)

    def _judged(self, count: Count, wanted: Mapping[str, Any], known: CountedList | None) -> Size:
        """What the count says, and, of a list that is too long to be counted, what the planner believes."""
        key = self._list_key(wanted)
        size = _counted_lists.size(key, count, known)
        if size is not None:
            return size
        assert count.rows is not None, "only a list that is known is not counted"
        estimate = count.rows if count.rows < COUNTED_TO else max(count.rows, self._estimate(wanted))
        return _counted_lists.remember(key, count, Size(estimate, estimated=True))

    def _list_key(self, wanted: Mapping[str, Any]) -> Key:
        return CountedLists.key(self.session.get_bind().engine, self.model.__tablename__, wanted)

    def _estimate(self, wanted: Mapping[str, Any]) -> int:
        """How many rows of a long list the planner believes to match; it looks at statistics, not at rows."""
        # Several values are a list to the driver; there, a tuple is one value of several columns.
        values = {name: [*value] if isinstance(value, tuple) else value for name, value in wanted.items()}
        statement = matching(type(self), tuple(sorted(wanted)), are_many=True).params(values)
        compiled = statement.compile(self.session.get_bind(), compile_kwargs={"render_postcompile": True})
        plan = self.session.connection().exec_driver_sql(f"EXPLAIN (FORMAT JSON) {compiled}", compiled.params)
        return int(plan.scalar_one()[0]["Plan"]["Plan Rows"])


def _counted_beside(rows: Sequence[Any], query: ListQuery) -> Count | None:
    """What was counted, where a page says so: one without rows does only if it is the first."""
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
    return query.skip <= _LIGHT_SKIP and query.limit <= _LIGHT_LIMIT and query.sort is None and not query.filters()


def _told_by(count: Count | None, key: Key, known: CountedList | None) -> Size:
    size = None if count is None else _counted_lists.size(key, count, known)
    if size is None:
        raise MoreToRead
    return size


def _first(rows: Sequence[Any]) -> Any | None:
    return rows[0] if rows else None


def _shape(query: ListQuery, fields: tuple[str, ...], wanted: Mapping[str, Any]) -> ListShape:
    return ListShape(fields, tuple(sorted(wanted)), decisive(query.sort_keys()), by_key=query.after is not None)


# -- statements, one per shape ---------------------------------------------------------------------


@memoized
def _row_statement(model: type[Any], fields: tuple[str, ...]) -> Select[Any]:
    return select(*(getattr(model, name) for name in fields)).where(model.id_key == bindparam("id_key"))


@memoized
def _rows_statement(model: type[Any], column: str, fields: tuple[str, ...]) -> Select[Any]:
    wanted = getattr(model, column) == func.any(bindparam("keys"))
    return select(*(getattr(model, name) for name in fields)).where(wanted).order_by(model.id_key)


@memoized
def _lock_statement(model: type[Any], to_delete: bool) -> Select[Any]:
    # FOR NO KEY UPDATE: a plain FOR UPDATE, which only a deletion needs, would fight the locks that foreign keys take.
    return (
        select(model)
        .where(model.id_key == func.any(bindparam("keys")))
        .order_by(model.id_key)
        .with_for_update(key_share=not to_delete)
        .execution_options(populate_existing=True, **ONLY_LOCKS)
    )


@memoized
def _hold_statement(model: type[Any]) -> Select[Any]:
    return _holding(select(model.id_key).where(model.id_key == bindparam("id_key")))


@memoized
def _hold_many_statement(model: type[Any]) -> Select[Any]:
    keys = model.id_key == func.any(bindparam("keys"))
    return _holding(select(model.id_key).where(keys).order_by(model.id_key))


def _holding(rows: Select[Any]) -> Select[Any]:
    # FOR KEY SHARE: the lock that a foreign key takes.
    return rows.with_for_update(read=True, key_share=True).execution_options(**ONLY_LOCKS)
