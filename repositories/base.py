"""What every repository can do with the rows of its model: find, lock, list, add, delete.

A subclass states its `model` and its `filters`: named SQL conditions whose bound parameter has the
filter's name. Statements are built once per shape and reused, because building costs more than running.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, ClassVar, Generic, ParamSpec, TypeVar, cast

from sqlalchemy import (
    JSON,
    ColumnElement,
    Integer,
    Select,
    Text,
    bindparam,
    column,
    func,
    insert,
    literal_column,
    select,
    text,
)
from sqlalchemy import cast as sql_cast
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningInsert

from models import Row
from schemas.base import EXACT_COUNT_LIMIT, ListQuery, Page
from schemas.json_codec import to_json

M = TypeVar("M", bound=Row)

MAX_KEY = 2**63 - 1

# So few that no statement comes near its timeout.
_ROWS_PER_INSERT = 2000
_PLACE = "place"

Sort = tuple[tuple[str, bool], ...]


def is_key(row_id: int) -> bool:
    """Whether a row could have this key at all; PostgreSQL is not asked about others."""
    return 1 <= row_id <= MAX_KEY


class BaseRepository(Generic[M]):
    """The rows of one table, seen through one session."""

    model: ClassVar[type[Any]]
    filters: ClassVar[Mapping[str, ColumnElement[bool]]] = {}
    # Filters that bring an order of their own, the best match first.
    rankings: ClassVar[Mapping[str, ColumnElement[Any]]] = {}

    def __init__(self, session: Session) -> None:
        self.session = session

    @classmethod
    def sortable(cls) -> tuple[str, ...]:
        """The columns that a list may be ordered by: the key, the time of creation and what is indexed."""
        table = cls.model.__table__
        indexed = {index.columns.keys()[0] for index in table.indexes if len(index.columns) == len(index.expressions)}
        unique = {
            constraint.columns.keys()[0]
            for constraint in table.constraints
            if constraint.__visit_name__ == "unique_constraint"
        }
        return ("id_key", "created_at", *sorted(indexed | unique))

    # -- one row -----------------------------------------------------------------------------------

    def row(self, row_id: int, fields: tuple[str, ...]) -> Any | None:
        """The named columns of a row, or None. The cheap way to read what nobody will change."""
        if not is_key(row_id):
            return None
        return self.session.execute(_row_statement(self.model, fields), {"id_key": row_id}).first()

    def rows(self, column: str, keys: Sequence[int], fields: tuple[str, ...]) -> Sequence[Any]:
        """The named columns of all rows whose `column` is one of `keys`, in the order of their own keys."""
        return self.session.execute(_rows_statement(self.model, column, fields), {"keys": list(keys)}).all()

    def lock(self, row_id: int) -> M | None:
        """The row as it is now, kept from being changed by others until the transaction ends; None if there is none."""
        return self.lock_many((row_id,)).get(row_id)

    def lock_many(self, row_ids: Iterable[int]) -> dict[int, M]:
        """The rows that exist, by key, locked in the order of their keys so that nobody can deadlock."""
        keys = sorted({row_id for row_id in row_ids if is_key(row_id)})
        rows = self.session.scalars(_lock_statement(self.model), {"keys": keys}) if keys else ()
        return {row.id_key: row for row in rows}

    def hold(self, row_id: int) -> bool:
        """Whether the row exists; if so it cannot be deleted before the transaction ends."""
        if not is_key(row_id):
            return False
        return self.session.execute(_hold_statement(self.model), {"id_key": row_id}).first() is not None

    def hold_many(self, row_ids: Iterable[int]) -> set[int]:
        """Those of the keys whose rows exist; these rows cannot be deleted before the transaction ends."""
        keys = sorted({row_id for row_id in row_ids if is_key(row_id)})
        return set(self.session.scalars(_hold_many_statement(self.model), {"keys": keys})) if keys else set()

    def add(self, values: Mapping[str, Any]) -> M:
        """A new row, with what the database gave it."""
        statement = insert(self.model).returning(self.model)
        row: M = self.session.scalars(statement, [dict(values)]).one()
        return row

    def add_all(self, values: Sequence[Mapping[str, Any]], fields: tuple[str, ...]) -> list[Any]:
        """The columns `fields`, the key first, of new rows in the order of `values`, which all have the same fields."""
        added: list[Any] = []
        for start in range(0, len(values), _ROWS_PER_INSERT):
            rows = [{**row, _PLACE: place} for place, row in enumerate(values[start : start + _ROWS_PER_INSERT])]
            statement = _add_all_statement(self.model, tuple(values[0]), fields)
            # Keys are given in the order of the places; in which order rows come back, nothing says.
            found = self.session.execute(statement, {"rows": to_json(rows).decode()}).all()
            added += sorted(found, key=itemgetter(0))
        return added

    def taken(self, field: str, values: Sequence[Any]) -> set[Any]:
        """Those of `values` that some row already has in `field`."""
        stored = getattr(self.model, field)
        found = select(stored).where(stored == func.any(bindparam("values")))
        return set(self.session.scalars(found, {"values": list(values)}))

    def keys_by(self, field: str) -> dict[Any, int]:
        """The keys of all rows by their values in `field`, which is unique."""
        stored = self.session.execute(select(getattr(self.model, field), self.model.id_key))
        return {row[0]: row[1] for row in stored}

    def delete(self, row: M) -> None:
        """Remove the row at once, and what depends on it."""
        self.session.delete(row)
        self.session.flush()

    # -- many rows ---------------------------------------------------------------------------------

    def page(self, query: ListQuery, fields: tuple[str, ...], **fixed: Any) -> Page:
        """The rows that `query` asks for, and how many match in all. `fixed` are filters the client cannot change."""
        wanted = {**query.filters(), **fixed}
        rows = self._rows(query, fields, wanted, counted=True)
        if not rows:
            return Page(rows, *self.size(wanted))
        return Page(rows, *self._size(rows[0][-1], wanted))

    def rows_of_page(self, query: ListQuery, fields: tuple[str, ...]) -> Sequence[Any]:
        """The rows that `query` asks for, and nothing about the others."""
        return self._rows(query, fields, query.filters(), counted=False)

    def size(self, wanted: Mapping[str, Any]) -> tuple[int, bool]:
        """How many rows match the filters `wanted`, and whether that is an estimate."""
        counted = self.session.execute(_count_statement(type(self), tuple(sorted(wanted))), dict(wanted)).scalar_one()
        return self._size(counted, wanted)

    def _rows(
        self, query: ListQuery, fields: tuple[str, ...], wanted: Mapping[str, Any], counted: bool
    ) -> Sequence[Any]:
        statement = _page_statement(
            type(self), fields, tuple(sorted(wanted)), query.sort_keys(), query.after is not None, counted
        )
        parameters = {**wanted, "limit": query.limit, "skip": query.skip, "after": query.after}
        return self.session.execute(statement, parameters).all()

    def _size(self, counted: int, wanted: Mapping[str, Any]) -> tuple[int, bool]:
        if counted <= EXACT_COUNT_LIMIT:
            return counted, False
        return max(counted, self._estimate(tuple(sorted(wanted)), wanted)), True

    def _estimate(self, filters: tuple[str, ...], parameters: Mapping[str, Any]) -> int:
        """How many rows the planner believes to match; it looks at statistics, not at rows."""
        statement = _filtered(type(self), select(literal_column("1")).select_from(self.model), filters)
        compiled = statement.compile(self.session.get_bind(), compile_kwargs={"render_postcompile": True})
        plan = self.session.connection().exec_driver_sql(
            f"EXPLAIN (FORMAT JSON) {compiled}", {name: parameters[name] for name in filters}
        )
        return int(plan.scalar_one()[0]["Plan"]["Plan Rows"])


P = ParamSpec("P")
S = TypeVar("S")


def memoized(build: Callable[P, S]) -> Callable[P, S]:
    """Remember what `build` made for the last thousand different arguments."""
    return cast(Callable[P, S], lru_cache(maxsize=1000)(build))


# -- statements, one per shape ---------------------------------------------------------------------


@memoized
def _row_statement(model: type[Any], fields: tuple[str, ...]) -> Select[Any]:
    return select(*(getattr(model, name) for name in fields)).where(model.id_key == bindparam("id_key"))


@memoized
def _rows_statement(model: type[Any], column: str, fields: tuple[str, ...]) -> Select[Any]:
    wanted = getattr(model, column) == func.any(bindparam("keys"))
    return select(*(getattr(model, name) for name in fields)).where(wanted).order_by(model.id_key)


@memoized
def _lock_statement(model: type[Any]) -> Select[Any]:
    # FOR NO KEY UPDATE: a plain FOR UPDATE would fight the locks that foreign keys take.
    return (
        select(model)
        .where(model.id_key == func.any(bindparam("keys")))
        .order_by(model.id_key)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )


@memoized
def _hold_statement(model: type[Any]) -> Select[Any]:
    return select(model.id_key).where(model.id_key == bindparam("id_key")).with_for_update(read=True, key_share=True)


@memoized
def _hold_many_statement(model: type[Any]) -> Select[Any]:
    keys = model.id_key == func.any(bindparam("keys"))
    return select(model.id_key).where(keys).order_by(model.id_key).with_for_update(read=True, key_share=True)


@memoized
def _add_all_statement(model: type[Any], names: tuple[str, ...], fields: tuple[str, ...]) -> ReturningInsert[Any]:
    # The rows travel as one JSON text: parameters by the thousand cost both sides more than the insert does.
    table = model.__table__
    place = column(_PLACE, Integer)
    text_of_rows = sql_cast(bindparam("rows", type_=Text), JSON)
    rows = func.json_to_recordset(text_of_rows).table_valued(
        *(column(name, table.c[name].type) for name in names), place
    )
    given = rows.render_derived(with_types=True)
    chosen = select(*(given.c[name] for name in names)).order_by(given.c[_PLACE])
    return insert(table).from_select(list(names), chosen).returning(*(table.c[name] for name in fields))


def _filtered(repository: type[BaseRepository[Any]], statement: Select[Any], filters: Sequence[str]) -> Select[Any]:
    return statement.where(*(repository.filters[name] for name in filters))


@memoized
def _count_statement(repository: type[BaseRepository[Any]], filters: tuple[str, ...]) -> Select[Any]:
    rows = _filtered(repository, select(literal_column("1")).select_from(repository.model), filters)
    return select(func.count()).select_from(rows.limit(EXACT_COUNT_LIMIT + 1).subquery())


@memoized
def _page_statement(
    repository: type[BaseRepository[Any]],
    fields: tuple[str, ...],
    filters: tuple[str, ...],
    sort: Sort,
    by_key: bool,
    counted: bool,
) -> Select[Any]:
    model = repository.model
    columns: list[Any] = [getattr(model, name) for name in fields]
    if counted:
        columns.append(_count_statement(repository, filters).scalar_subquery())
    statement = _filtered(repository, select(*columns), filters)
    if by_key:
        return statement.where(model.id_key > bindparam("after")).order_by(model.id_key).limit(bindparam("limit"))
    order = [getattr(model, name).desc() if descends else getattr(model, name).asc() for name, descends in sort]
    if not order:
        order = [repository.rankings[name].desc() for name in filters if name in repository.rankings]
    # The key makes every order total, so that no row is on two pages.
    order.append(model.id_key.asc())
    return statement.order_by(*order).limit(bindparam("limit")).offset(bindparam("skip"))


def database_year(session: Session) -> int:
    """The year by the database's clock, in UTC."""
    return int(session.execute(text("SELECT extract(year FROM now() AT TIME ZONE 'UTC')")).scalar_one())
