"""Bodies, responses and filters of categories."""

from typing import ClassVar

from pydantic import BaseModel, Field

from schemas.base import Create, ListQuery, Read, update_of
from schemas.field_types import Name100
from schemas.query_types import QueryText


class CategoryCreate(Create):
    """A new category."""

    name: Name100


CategoryUpdate = update_of(CategoryCreate)


class CategoryRead(Read):
    """A category."""

    name: str = Field(max_length=100)


class CategoryQuery(ListQuery):
    """Filters of the list of categories."""

    row: ClassVar[type[BaseModel]] = CategoryRead

    name: QueryText | None = None
