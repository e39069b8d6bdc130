"""The rules that hold for every entity: existence, references, uniqueness, versions, partial changes.

A subclass names its repository and what it refers to, and adds its own rules in the hooks `complete`, `complete_change`,
`before_create`, `before_update`, `after_update`, `before_delete` and `after_delete`. A service lives as long as the transaction of its
session; nothing here commits. It works for a principal: what is not theirs does not exist for a customer, nor for callers
who are not known. A new row that takes one statement needs no session: see `single_statement`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from sqlalchemy.orm import Session

from infrastructure.cache.tags import Invalidation
from infrastructure.database.datetimes import FarDatetime
from models import Row
from models.unique_fields import unique_texts
from repositories.base import BaseRepository
from repositories.query.bound_query import Query
from repositories.query.counts import SizeAt
from repositories.query.filters import EVERY_ROW, Visible
from schemas.base import ListQuery, Page
from security.principal import EVERYBODY, Principal
from services.errors import HasChanged, InvalidField, NotFound
from services.event_writing import TellsEvents, values_before
from services.identity.audit import current_author, old_and_new, old_values, record_one
from services.integrity import references_to, violations_of
from services.ownership import OwnedRows
from services.preconditions import UNCONDITIONAL, Preconditions
from services.single_statement import SingleStatement

M = TypeVar("M", bound=Row)

INVALIDATION = "invalidation"


@dataclass(frozen=True, slots=True)
class Caching:
    """How the responses of an entity are cached in Redis. `ttl` is in seconds; None is the setting's."""

    ttl: float | None = None


class BaseService(OwnedRows, TellsEvents, Generic[M]):
    """Create, read, change and delete the rows of one entity."""

    # The singular in messages, such as "OrderDetail", and the collection's name in URLs and cache keys.
    thing: ClassVar[str]
    resource: ClassVar[str]
    repository_type: ClassVar[type[BaseRepository[Any]]]
    # Field of a body -> the service of the entity it points to.
    references: ClassVar[Mapping[str, type["BaseService[Any]"]]] = {}
    # Unique field -> the function that makes the form by which its texts are compared, from the model.
    unique: ClassVar[Mapping[str, Callable[[str], str]]] = {}
    # What the database puts into a field left out.
    defaults: ClassVar[Mapping[str, Any]] = {}
    caching: ClassVar[Caching | None] = None

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "repository_type" in vars(cls):
            cls.unique = {unique.field: unique.form for unique in unique_texts(cls.repository_type.model)}

    def __init__(self, session: Session, principal: Principal = EVERYBODY) -> None:
        self.session = session
        self.principal = principal
        self.repository: BaseRepository[M] = self.repository_type(session)

    # -- reads, for the executor or a session ------------------------------------------------------

    @classmethod
    def row_query(cls, row_id: int, fields: tuple[str, ...], visible: Visible = EVERY_ROW) -> Query[Any]:
        """The named columns of the row, by position. Raises `NotFound` when it is read."""

        def found(row: Any | None) -> Any:
            if row is None:
                raise NotFound(cls.thing, row_id)
            return row

        return cls.repository_type.row_query(row_id, fields, visible).map(found)

    @classmethod
    def rows_query(cls, query: ListQuery, fields: tuple[str, ...]) -> Query[Sequence[Any]]:
        """The rows that `query` asks for, without their count."""
        return cls.repository_type.rows_query(query, fields)

    @classmethod
    def page_query(
        cls, query: ListQuery, fields: tuple[str, ...], visible: Visible = EVERY_ROW, **fixed: Any
    ) -> Query[Page]:
        """The page that `query` asks for, within `fixed` filters. Raises `InvalidField` for a column that is not sortable."""
        require_sortable(cls.repository_type, query, fields)
        return cls.repository_type.page_query(query, fields, visible, **fixed)

    @classmethod
    def size_query(cls) -> Query[SizeAt]:
        """How many rows there are."""
        return cls.repository_type.size_query()

    # -- what clients ask for ----------------------------------------------------------------------

    @classmethod
    def single_statement(cls, values: dict[str, Any]) -> SingleStatement[Any] | None:
        """The statement that stores a new row; None where it takes more than one.

        The database checks what `create` looks at: references by foreign keys, uniqueness by indexes. Where the
        statement returns no row, `create` finds out why and raises it.
        """
        if cls.takes_more_than_an_insert(values):
            return None
        cls.complete_new(values)
        cls.complete(values)
        adding = cls.repository_type.adding(values, current_author())
        return None if adding is None else SingleStatement(*adding, cls.repository_type.added, cls._invalidation_of_new)

    def create(self, values: dict[str, Any]) -> Any:
        """All columns of the new row."""
        self.complete_new(values)
        self.complete(values)
        self.require_own(values)
        self.before_create(values)
        self._lock_references(values)
        with violations_of(values):
            row = self.repository.add(values)
        self.was_added(row)
        return row

    def update(self, row_id: int, changes: dict[str, Any], conditions: Preconditions = UNCONDITIONAL) -> M:
        """The row with `changes` applied. What equals the stored value is no change and is not checked.

        Raises `NotFound`, `PreconditionFailed`, `HasChanged`.
        """
        return self.update_locked(self.lock(row_id), changes, conditions)

    def update_locked(self, row: M, changes: dict[str, Any], conditions: Preconditions = UNCONDITIONAL) -> M:
        """As `update`, for a row that this transaction has locked already."""
        conditions.require(self.thing, row)
        read_at = changes.pop("updated_at", None)
        if read_at is not None and read_at != row.updated_at:
            raise HasChanged(self.thing, row.id_key)
        changes = self.real_changes(row, changes)
        if not changes:
            return row
        _require_near(changes)
        self.require_own(changes)
        self.before_update(row, changes)
        self._lock_references(changes)
        audited, old = old_and_new(self.session, row, changes), values_before(row, changes)
        self.apply(row, changes)
        self.after_update(row)
        self.has_changed(row)
        record_one(self.session, row, audited)
        self.tell_change(row, old)
        return row

    def delete(self, row_id: int, conditions: Preconditions = UNCONDITIONAL) -> None:
        """Remove the row. Raises `NotFound`, `PreconditionFailed`, or `Conflict` when something points to it."""
        row = self.lock(row_id)
        conditions.require(self.thing, row)
        self.tell_deletion(row)
        self.before_delete(row)
        record_one(self.session, row, old_values(self.session, row))
        with references_to(self.thing, row_id):
            self.repository.delete(row)
        self.after_delete(row)
        self.was_removed(row)

    # -- hooks -------------------------------------------------------------------------------------

    @classmethod
    def complete_new(cls, values: dict[str, Any]) -> None:
        """Add the values of fields of a new row that were left out, where the shop knows them and the database does not."""

    @classmethod
    def complete(cls, values: dict[str, Any]) -> None:
        """Add the values that follow from those that were sent, and from nothing else, for a new row or a change."""

    def complete_change(self, row: M, changes: dict[str, Any]) -> None:
        """Complete the values that were sent by what a locked row has, before it is looked which of them are changes."""

    def before_create(self, values: dict[str, Any]) -> None:
        """Check or complete the values of a new row by other rows. A service with this hook creates by several statements."""

    def before_update(self, row: M, changes: dict[str, Any]) -> None:
        """Check or complete real changes of a locked row."""

    def after_update(self, row: M) -> None:
        """Do what follows from a change, in the same transaction."""

    def before_delete(self, row: M) -> None:
        """Refuse, or tidy up before, the deletion of a locked row."""

    def after_delete(self, row: M) -> None:
        """Do what follows from the deletion, in the same transaction."""

    # -- for subclasses ----------------------------------------------------------------------------

    def lock(self, row_id: int) -> M:
        """The row, locked, if it is the principal's. A subclass whose rows depend on others locks those first."""
        row = self.repository.lock(row_id, self.owned_by(self.principal))
        if row is None:
            raise NotFound(self.thing, row_id)
        return row

    def real_changes(self, row: M, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """Those of the values, and of what follows from them, that the locked row does not have yet."""
        values = dict(wanted)
        self.complete(values)
        self.complete_change(row, values)
        return {name: value for name, value in values.items() if value != getattr(row, name)}

    def apply(self, row: M, changes: Mapping[str, Any]) -> None:
        """Write the changes to the locked row."""
        for name, value in changes.items():
            setattr(row, name, value)
        # All values, also those that stay: a text key may change although its text does not.
        with violations_of({**vars(row)}):
            self.session.flush()

    def has_changed(self, row: M) -> None:
        """Invalidate cached responses with this row, once this transaction is committed."""
        if self.caching is not None:
            invalidation_of(self.session).row_changed(self.resource, row.id_key)

    def was_removed(self, row: M) -> None:
        """Invalidate, once this transaction is committed, what showed the row that is gone."""
        if self.caching is not None:
            invalidation_of(self.session).row_removed(self.resource, row.id_key)

    def was_added(self, row: Any) -> None:
        """Invalidate, once this transaction is committed, what shows all rows."""
        if self.caching is not None:
            invalidation_of(self.session).row_added(self.resource, row.id_key)

    @classmethod
    def _invalidation_of_new(cls, row: Any | None) -> Invalidation:
        invalidation = Invalidation()
        if cls.caching is not None:
            row_id, transaction = (None, None) if row is None else (row.id_key, row.added_by)
            invalidation.row_added(cls.resource, row_id, transaction)
        return invalidation

    @classmethod
    def takes_more_than_an_insert(cls, values: dict[str, Any]) -> bool:
        """Whether rules of the service stand between the values of a new row and the table."""
        return cls.create is not BaseService.create or cls.before_create is not BaseService.before_create

    def _lock_references(self, values: Mapping[str, Any]) -> None:
        """Make sure that what the row points to exists, and stays until the transaction ends."""
        for field, service in self.references.items():
            row_id = values.get(field)
            if row_id is not None:
                service(self.session, self.principal).hold(row_id)


def invalidation_of(session: Session) -> Invalidation:
    """The invalidation that the transaction of `session` has collected so far."""
    invalidation: Invalidation = session.info.setdefault(INVALIDATION, Invalidation())
    return invalidation


def _require_near(changes: Mapping[str, Any]) -> None:
    """Raise `InvalidField` for a date or time that a stored row may have but a request may not."""
    for name, value in changes.items():
        if isinstance(value, FarDatetime):
            raise InvalidField(("body", name), "must be of the years 1 to 9999, or what is stored")


def require_sortable(repository: type[BaseRepository[Any]], query: ListQuery, fields: tuple[str, ...]) -> None:
    """Raise `InvalidField`, which names the allowed columns, for a column that is not indexed or not among `fields`."""
    allowed = [name for name in repository.sortable() if name in fields]
    for name, _ in query.sort_keys():
        if name not in allowed:
            raise InvalidField(("query", "sort"), f"cannot sort by {name[:50]!r}; allowed: {', '.join(allowed)}")
