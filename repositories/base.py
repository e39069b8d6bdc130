"""Base repository: find, lock, list, add and delete the rows of a model.

A subclass states its `model` and its `filters`: named SQL conditions whose bound parameter has the
filter's name. Where its rows belong to clients it names the `owner`, and where not everybody sees all of them, which are
`public`; both become filters (`repositories.query.filters`). Statements are built once per shape and reused, because building costs more than running.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

from sqlalchemy import Column, ColumnElement, Engine, Select, UniqueConstraint, bindparam, func, select
from sqlalchemy.orm import Session

from infrastructure.database.statement_limits import ONLY_LOCKS
from models import Row
from repositories.author import author_of
from repositories.query.bound_query import BoundQuery, Query, Steps
from repositories.query.changed_rows import ChangedRows, stored_forms
from repositories.query.filters import EVERY_ROW, OWNER, OWNER_KEY, PUBLIC, Visible, by_value
from repositories.query.list_queries import ListQueries
from repositories.query.new_rows import parameters_of, row_statement
from repositories.query.statement_cache import memoized
from schemas.json_schema import MAX_KEY

M = TypeVar("M", bound=Row)


def is_key(row_id: int) -> bool:
    """Whether a row could have this key at all; PostgreSQL is not asked about others."""
    return 1 <= row_id <= MAX_KEY


class BaseRepository(ListQueries, ChangedRows, Generic[M]):
    """The rows of one table, seen through one session."""

    # The column with the key of the client whose row it is.
    owner: ClassVar[str | None] = None
    # The condition of the rows that everybody may see.
    public: ClassVar[ColumnElement[bool] | None] = None

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        # Every list can be asked for the rows of some keys.
        owned = {} if cls.owner is None else {OWNER: getattr(cls.model, cls.owner) == OWNER_KEY}
        public = {} if cls.public is None else {PUBLIC: cls.public}
        cls.filters = {**by_value(id_key=cls.model.id_key), **owned, **public, **cls.filters}
        cls.forms = stored_forms(cls.model)

    def __init__(self, session: Session) -> None:
        self.session = session

    @classmethod
    def sortable(cls) -> tuple[str, ...]:
        """The columns that a list may be ordered by: the key, the time of creation and what is indexed."""
        table = cls.model.__table__
        options = ((index, index.dialect_options["postgresql"]) for index in table.indexes)
        # One of some rows only is none for a list of all.
        plain = (index for index, option in options if not option["using"] and option["where"] is None)
        indexed = {
            column.name
            for index in plain
            if all(isinstance(expression, Column) for expression in index.expressions)
            for column in index.columns
        }
        unique = {one.columns.keys()[0] for one in table.constraints if isinstance(one, UniqueConstraint)}
        first = ("id_key", "created_at")
        return (*first, *sorted((indexed | unique | cls.steps.keys()).difference(first)))

    @classmethod
    def row_query(cls, row_id: int, fields: tuple[str, ...], visible: Visible = EVERY_ROW) -> Query[Any | None]:
        """The named columns of a row, or None if there is none that is `visible`. Cheaper than an object, for rows that the transaction does not change."""

        def bind(database: Engine) -> Steps[Any | None]:
            if not is_key(row_id):
                return None
            rows = yield BoundQuery(_row_statement(cls, fields, tuple(visible)), {_KEY: row_id, **visible})
            return rows[0] if rows else None

        return Query(bind)

    # -- by the session ----------------------------------------------------------------------------

    def rows(
        self, column: str, keys: Sequence[int], fields: tuple[str, ...], visible: Visible = EVERY_ROW
    ) -> Sequence[Any]:
        """The named columns of all rows whose `column` is one of `keys`, in the order of their own keys."""
        statement = _rows_statement(type(self), column, fields, tuple(visible))
        return self.session.execute(statement, {_KEYS: list(keys), **visible}).all()

    def lock(self, row_id: int, visible: Visible = EVERY_ROW) -> M | None:
        """The row as it is now, locked against changes by others until the transaction ends.

        None if there is none that is `visible`; others are not locked, and nobody waits for their locks.
        """
        return self.lock_many((row_id,), visible).get(row_id)

    def lock_many(
        self, row_ids: Iterable[int], visible: Visible = EVERY_ROW, *, to_delete: bool = False
    ) -> dict[int, M]:
        """The rows that exist, by key, locked in the order of their keys so that transactions do not deadlock."""
        keys = sorted({row_id for row_id in row_ids if is_key(row_id)})
        statement = _lock_statement(type(self), to_delete, tuple(visible))
        rows = self.session.scalars(statement, {_KEYS: keys, **visible}) if keys else ()
        return {row.id_key: row for row in rows}

    def lock_key_share(self, row_ids: Iterable[int], visible: Visible = EVERY_ROW) -> set[int]:
        """Those of the keys whose rows exist; these rows cannot be deleted before the transaction ends."""
        keys = sorted({row_id for row_id in row_ids if is_key(row_id)})
        statement = _key_share_statement(type(self), tuple(visible))
        return set(self.session.scalars(statement, {_KEYS: keys, **visible})) if keys else set()

    def add(self, values: Mapping[str, Any]) -> Any:
        """All columns of the new row with these values. The same statement writes `written_along`."""
        author = author_of(self.session)
        parameters = parameters_of(self.model.__table__, values, author)
        return self.session.execute(row_statement(type(self), author.is_audited), parameters).one()

    def keys_by(self, field: str) -> dict[str, int]:
        """The keys of all rows by their unique `field`, as it is written."""
        stored = self.session.execute(select(self.model.__table__.c[field], self.model.id_key))
        return {row[0]: row[1] for row in stored}

    def delete(self, row: M) -> None:
        """Remove the row, and what depends on it, in this moment and not at the commit."""
        self.session.delete(row)
        self.session.flush()


# -- statements, one per shape ---------------------------------------------------------------------

# Parameters, by names that are no filter's.
_KEY, _KEYS = "row_id", "keys"


@memoized
def _row_statement(kind: type[BaseRepository[Any]], fields: tuple[str, ...], visible: tuple[str, ...]) -> Select[Any]:
    columns = (getattr(kind.model, name) for name in fields)
    return select(*columns).where(kind.model.id_key == bindparam(_KEY), *_conditions(kind, visible))


@memoized
def _rows_statement(
    kind: type[BaseRepository[Any]], column: str, fields: tuple[str, ...], visible: tuple[str, ...]
) -> Select[Any]:
    columns = (getattr(kind.model, name) for name in fields)
    wanted = getattr(kind.model, column) == func.any(bindparam(_KEYS))
    return select(*columns).where(wanted, *_conditions(kind, visible)).order_by(kind.model.id_key)


@memoized
def _lock_statement(kind: type[BaseRepository[Any]], to_delete: bool, visible: tuple[str, ...]) -> Select[Any]:
    # FOR NO KEY UPDATE: a plain FOR UPDATE, which only a deletion needs, would fight the locks that foreign keys take.
    return (
        select(kind.model)
        .where(kind.model.id_key == func.any(bindparam(_KEYS)), *_conditions(kind, visible))
        .order_by(kind.model.id_key)
        .with_for_update(key_share=not to_delete)
        .execution_options(populate_existing=True, **ONLY_LOCKS)
    )


@memoized
def _key_share_statement(kind: type[BaseRepository[Any]], visible: tuple[str, ...]) -> Select[Any]:
    key = kind.model.id_key
    # FOR KEY SHARE: the lock that a foreign key takes.
    locked = (
        select(key)
        .where(key == func.any(bindparam(_KEYS)), *_conditions(kind, visible))
        .order_by(key)
        .with_for_update(read=True, key_share=True)
    )
    return locked.execution_options(**ONLY_LOCKS)


def _conditions(kind: type[BaseRepository[Any]], visible: tuple[str, ...]) -> list[ColumnElement[bool]]:
    return [kind.filters[name] for name in visible]
