"""Bodies, responses and filters of categories."""

from typing import ClassVar

from pydantic import BaseModel, Field

from schemas.base import Create, ListQuery, Read, update_of
from schemas.field_types import Key, Name100, Reference
from schemas.query_types import QueryText

_TAX_CLASS = "That of its products which name none; null for the class `standard`"


class CategoryCreate(Create):
    """A new category."""

    name: Name100
    tax_class_id: Reference | None = Field(default=None, description=_TAX_CLASS)


CategoryUpdate = update_of(CategoryCreate)


class CategoryRead(Read):
    """A category."""

    name: str = Field(max_length=100)
    tax_class_id: Key | None = Field(description=_TAX_CLASS)


class CategoryQuery(ListQuery):
    """Filters of the list of categories."""

    row: ClassVar[type[BaseModel]] = CategoryRead

    name: QueryText | None = None
