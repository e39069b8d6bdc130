"""Audited fields of the models: those whose values the audit trail shows."""

from typing import Any

from sqlalchemy import Computed, FetchedValue

from models.unique_fields import unique_texts

# The `info` of a column that the trail never shows: what is kept of a password or a key.
SECRET = {"secret": True}

# The `info` of a column that follows from rows of other tables, which its reader finds in their entries.
FOLLOWING = {"following": True}

_OF_EVERY_ROW = {"id_key", "created_at", "updated_at"}
# The database writes columns with these defaults itself: they follow from others.
_FOLLOWING = (Computed, FetchedValue)


def audited_fields(model: type[Any]) -> tuple[str, ...]:
    """The fields that are neither secret, nor the same for every table, nor follow from other fields."""
    forms = {unique.kept_in for unique in unique_texts(model)}
    return tuple(
        column.name
        for column in model.__table__.c
        if column.name not in _OF_EVERY_ROW | forms
        and type(column.server_default) not in _FOLLOWING
        and not column.info.keys() & {*SECRET, *FOLLOWING}
    )
