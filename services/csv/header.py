"""Checks the first line of a CSV file: it must name the columns of the entity."""

from collections.abc import Sequence
from typing import Any

from services.csv.entities import CsvEntity


class HeaderError(ValueError):
    """The header does not name the columns of the entity; the message is one line."""


def require_columns(entity: CsvEntity, header: Sequence[str]) -> None:
    """Raise `HeaderError` for a column that is not one of the entity's, is there twice, or is missing."""
    named: dict[str, Any] = entity.named_references()
    fields = entity.create.model_fields
    for name in header:
        if name not in {*fields, *named, *entity.create.read_only}:
            raise HeaderError(f"unknown column {name[:50]!r}; allowed: {', '.join([*fields, *named])}")
        if header.count(name) > 1:
            raise HeaderError(f"the column {name!r} is there twice")
    given = {*header, *(named[name] for name in header if name in named)}
    for name, info in fields.items():
        if info.is_required() and name not in given:
            raise HeaderError(f"there is no column {name!r}; the first line must name the columns")
