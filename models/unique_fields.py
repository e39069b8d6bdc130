"""Unique fields of the models, for repositories, services, errors and CSV files."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import UniqueConstraint

# The key in `Index.info` with the `UniqueText` of the index.
UNIQUE_TEXT = "unique_text"
# The key in `Index.info` with the field that another unique index is about.
UNIQUE_FIELD = "unique_field"


@dataclass(frozen=True, slots=True)
class UniqueText:
    """A field with unique texts, in all their spellings.

    `form` computes the key that all spellings of a text share. It is stored in the column `kept_in`; if that is None, only
    in an index, by the SQL function `text_key`.
    """

    field: str
    form: Callable[[str], str]
    kept_in: str | None


def unique_texts(model: type[Any]) -> tuple[UniqueText, ...]:
    """The unique texts of the model's rows, in the order of the names of their indexes."""
    unique = (index for index in model.__table__.indexes if UNIQUE_TEXT in index.info)
    return tuple(index.info[UNIQUE_TEXT] for index in sorted(unique, key=lambda index: str(index.name)))


def unique_fields(model: type[Any]) -> dict[str, str]:
    """The field of each unique constraint or index of the model's table, by its name; of several columns the last."""
    table = model.__table__
    field_of_form = {unique.kept_in: unique.field for unique in unique_texts(model)}
    constraints = [one for one in table.constraints if isinstance(one, UniqueConstraint)]
    columns = {str(one.name): one.columns.keys()[-1] for one in constraints}
    return {
        **{name: field_of_form.get(column, column) for name, column in columns.items()},
        **{str(index.name): index.info[UNIQUE_TEXT].field for index in table.indexes if UNIQUE_TEXT in index.info},
        **{str(index.name): index.info[UNIQUE_FIELD] for index in table.indexes if UNIQUE_FIELD in index.info},
    }
