"""Which fields are unique: the models say it, and repositories, services, errors and CSV files look it up here."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import UniqueConstraint

# Under this name, the index of a unique text says what it is about.
UNIQUE_TEXT = "unique_text"


@dataclass(frozen=True, slots=True)
class UniqueText:
    """A field of which no two rows have the same text, in whatever writing.

    `form` is what all writings of one text have in common. Rows keep it in the column `kept_in`; where that is None,
    it is in an index alone, which has it from the function `text_key` of PostgreSQL.
    """

    field: str
    form: Callable[[str], str]
    kept_in: str | None


def unique_texts(model: type[Any]) -> tuple[UniqueText, ...]:
    """The unique texts of the model's rows."""
    return tuple(index.info[UNIQUE_TEXT] for index in model.__table__.indexes if index.unique)


def unique_fields(model: type[Any]) -> dict[str, str]:
    """The field that each unique constraint or index of the model's table is about, by their names."""
    table = model.__table__
    field_of_form = {unique.kept_in: unique.field for unique in unique_texts(model)}
    constraints = [one for one in table.constraints if isinstance(one, UniqueConstraint)]
    columns = {str(one.name): one.columns.keys()[0] for one in constraints}
    return {
        **{name: field_of_form.get(column, column) for name, column in columns.items()},
        **{str(index.name): index.info[UNIQUE_TEXT].field for index in table.indexes if index.unique},
    }
