"""The one place where a violated constraint of the database becomes a domain error.

Only the database knows whether a value is free, so it is not checked before a write; a row that is referred to is locked
before, and may still be missing here. What was violated is known by the SQLSTATE and the constraint's name, never by the
text of the error. The names are those of the models, so a new entity needs nothing here.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Column
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from infrastructure.database.sqlstate import OUT_OF_RANGE, sqlstate
from models import Base
from models.unique_fields import unique_fields
from services.errors import AlreadyExists, AmountTooLarge, Conflict, NotFound, ShopError

_UNIQUE = "23505"
_FOREIGN_KEY = {"23503", "23001"}
_CHECK = "23514"

_THINGS = {mapper.class_.__tablename__: mapper.class_.__name__ for mapper in Base.registry.mappers}


# What a unique constraint or index is about: the thing in messages, and the field of the client's body.
_UNIQUE_FIELDS = {
    name: (mapper.class_.__name__, field)
    for mapper in Base.registry.mappers
    for name, field in unique_fields(mapper.class_).items()
}
_FOREIGN_KEYS = {str(key.name): key for table in Base.metadata.tables.values() for key in table.foreign_key_constraints}
# What a foreign key refers to, and the field of the client's body that does.
_REFERENCES = {name: (_THINGS[key.referred_table.name], key.column_keys[0]) for name, key in _FOREIGN_KEYS.items()}
_REFERRING = {name: next(iter(key.columns)) for name, key in _FOREIGN_KEYS.items()}


def has_unique_fields(thing: str) -> bool:
    """Whether some field of this entity is unique."""
    return any(unique_thing == thing for unique_thing, _ in _UNIQUE_FIELDS.values())


def is_held_by_others(thing: str) -> bool:
    """Whether rows of other tables, or of its own, keep a row of this entity from being deleted."""
    return any(
        key.ondelete == "RESTRICT" and _THINGS[key.referred_table.name] == thing for key in _FOREIGN_KEYS.values()
    )


@contextmanager
def violations_of(values: Mapping[str, Any]) -> Iterator[None]:
    """During the block, a violated constraint is raised as the domain error about `values`, the row being written."""
    try:
        yield
    except DBAPIError as error:
        refusal, _ = _about_write(error, values)
        if refusal is None:
            raise
        raise refusal from error


def written_in_parts(
    session: Session,
    rows: Sequence[Mapping[str, Any]],
    write: Callable[[Sequence[Mapping[str, Any]]], Sequence[Any] | None],
    first: int = 0,
) -> list[Any]:
    """What `write` returns for all rows. A violated constraint is raised with the place of the row that it is about.

    PostgreSQL names the constraint that was violated, but the row only in the text of the error. So rows that it refuses
    are written again by halves, until a single row is refused; that costs about as much as writing twice the rows. If
    what was in the way is gone by then, they are written. `first` is the place of the first row.
    """
    try:
        with session.begin_nested():
            return list(write(rows) or ())
    except DBAPIError as error:
        refusal, field = _about_write(error, rows[0])
        if refusal is None:
            raise
        if len(rows) == 1:
            raise refusal.at(first, field) from error
    half = len(rows) // 2
    written = written_in_parts(session, rows[:half], write, first)
    return [*written, *written_in_parts(session, rows[half:], write, first + half)]


def _about_write(error: DBAPIError, values: Mapping[str, Any]) -> tuple[ShopError | None, str | None]:
    """The domain error about a row with these values, if there is one for it, and the field that it is about."""
    code, constraint = sqlstate(error), _constraint(error)
    if code == OUT_OF_RANGE:
        return AmountTooLarge(), None
    if code == _UNIQUE and constraint in _UNIQUE_FIELDS:
        thing, field = _UNIQUE_FIELDS[constraint]
        return AlreadyExists(thing, field, values.get(field)), field
    if code in _FOREIGN_KEY and constraint in _REFERENCES:
        thing, field = _REFERENCES[constraint]
        return NotFound(thing, values.get(field)), field
    if code == _CHECK:
        return Conflict("The change breaks a rule of the database"), None
    return None, None


@contextmanager
def references_to(thing: str, row_id: int) -> Iterator[None]:
    """During the block, the deletion of a row that others still refer to is raised as a conflict."""
    try:
        yield
    except DBAPIError as error:
        if sqlstate(error) not in _FOREIGN_KEY:
            raise
        table = getattr(getattr(error.orig, "diag", None), "table_name", None) or "other rows"
        raise still_has(thing, row_id, table) from error


def still_has(thing: str, row_id: int, table: str) -> Conflict:
    """The refusal to delete a row that rows of `table` refer to."""
    return Conflict(f"Cannot delete {thing.lower()} {row_id}: it still has {table.replace('_', ' ')}")


def referring_column(error: DBAPIError) -> Column[Any] | None:
    """The column whose foreign key forbids a deletion, if the error is about one."""
    return _REFERRING.get(_constraint(error)) if sqlstate(error) in _FOREIGN_KEY else None


def _constraint(error: DBAPIError) -> str:
    return getattr(getattr(error.orig, "diag", None), "constraint_name", None) or ""
