"""Base repository: find, lock, list, add and delete the rows of a model.

A subclass states its `model` and its `filters`: named SQL conditions whose bound parameter has the
filter's name. Statements are built once per shape and reused, because building costs more than running.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from sqlalchemy import Engine, Select, UniqueConstraint, bindparam, func, select
from sqlalchemy.orm import Session

from infrastructure.database.statement_limits import ONLY_LOCKS
from models import Row
from repositories.audit_trail import author_of
from repositories.query.bound_query import BoundQuery, Query, Steps
from repositories.query.changed_rows import ChangedRows, stored_forms
from repositories.query.filters import by_value
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

    @classmethod
    def row_query(cls, row_id: int, fields: tuple[str, ...]) -> Query[Any | None]:
        """The named columns of a row, or None. Cheaper than an object, for rows that the transaction does not change."""

        def bind(database: Engine) -> Steps[Any | None]:
            if not is_key(row_id):
                return None
            rows = yield BoundQuery(_row_statement(cls.model, fields), {"id_key": row_id})
            return rows[0] if rows else None

        return Query(bind)

    # -- by the session ----------------------------------------------------------------------------

    def rows(self, column: str, keys: Sequence[int], fields: tuple[str, ...]) -> Sequence[Any]:
        """The named columns of all rows whose `column` is one of `keys`, in the order of their own keys."""
        return self.session.execute(_rows_statement(self.model, column, fields), {"keys": list(keys)}).all()

    def lock(self, row_id: int) -> M | None:
        """The row as it is now, locked against changes by others until the transaction ends; None if there is none."""
        return self.lock_many((row_id,)).get(row_id)

    def lock_many(self, row_ids: Iterable[int], *, to_delete: bool = False) -> dict[int, M]:
        """The rows that exist, by key, locked in the order of their keys so that transactions do not deadlock."""
        keys = sorted({row_id for row_id in row_ids if is_key(row_id)})
        rows = self.session.scalars(_lock_statement(self.model, to_delete), {"keys": keys}) if keys else ()
        return {row.id_key: row for row in rows}

    def lock_key_share(self, row_ids: Iterable[int]) -> set[int]:
        """Those of the keys whose rows exist; these rows cannot be deleted before the transaction ends."""
        keys = sorted({row_id for row_id in row_ids if is_key(row_id)})
        return set(self.session.scalars(_key_share_statement(self.model), {"keys": keys})) if keys else set()

    def add(self, values: Mapping[str, Any]) -> Any:
        """All columns of the new row with these values. The same statement writes `written_along`."""
        author = author_of(self.session)
        parameters = parameters_of(self.model.__table__, values, author)
        return self.session.execute(row_statement(type(self), author is not None), parameters).one()

    def keys_by(self, field: str) -> dict[str, int]:
        """The keys of all rows by the form of their unique `field`."""
        stored = self.session.execute(select(self.forms[field], self.model.id_key))
        return {row[0]: row[1] for row in stored}

    def delete(self, row: M) -> None:
        """Remove the row, and what depends on it, in this moment and not at the commit."""
        self.session.delete(row)
        self.session.flush()


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
def _key_share_statement(model: type[Any]) -> Select[Any]:
    keys = model.id_key == func.any(bindparam("keys"))
    # FOR KEY SHARE: the lock that a foreign key takes.
    locked = select(model.id_key).where(keys).order_by(model.id_key).with_for_update(read=True, key_share=True)
    return locked.execution_options(**ONLY_LOCKS)
