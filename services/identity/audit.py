"""Audit: whose writes these are, and what the trail shows of them. Services say what changed; the rest is decided here."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from sqlalchemy.orm import Session

from models import Row
from models.audited_fields import audited_fields
from repositories.audit_trail import Changes, record
from repositories.author import NOBODY, Author, author_of

__all__ = ["SYSTEM", "Author", "current_author", "old_and_new", "old_values", "record_one", "writing_as"]

# The actor of what is done by scripts: by those who have the database anyway.
SYSTEM = "system"

_author: ContextVar[Author] = ContextVar("author", default=NOBODY)


@contextmanager
def writing_as(author: Author) -> Iterator[None]:
    """A block whose writes are `author`'s."""
    token = _author.set(author)
    try:
        yield
    finally:
        _author.reset(token)


def current_author() -> Author:
    """Whose the writes of this request are."""
    return _author.get()


def old_and_new(session: Session, row: Row, changes: Mapping[str, Any]) -> Changes:
    """What the trail shows of the changes of a row that still has its old values; nothing where nobody is audited."""
    if not author_of(session).is_audited:
        return {}
    shown = audited_fields(type(row))
    return {name: (getattr(row, name), value) for name, value in changes.items() if name in shown}


def old_values(session: Session, row: Row) -> Changes:
    """What the trail shows of a row that is to be removed; nothing where nobody is audited."""
    if not author_of(session).is_audited:
        return {}
    values = {name: getattr(row, name) for name in audited_fields(type(row))}
    return {name: (value, None) for name, value in values.items() if value is not None}


def record_one(session: Session, row: Row, changes: Changes) -> None:
    """Write the entry about one row, where somebody is audited."""
    record(session, row.__tablename__, [(row.id_key, changes)])
