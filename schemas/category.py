"""Bodies, answers and filters of categories."""

from schemas.base import Create, ListQuery, Read, update_of
from schemas.fields import Name100, QueryText


class CategoryCreate(Create):
    """A new category."""

    name: Name100


CategoryUpdate = update_of(CategoryCreate)


class CategoryRead(Read):
    """A category."""

    name: str


class CategoryQuery(ListQuery):
    """Filters of the list of categories."""

    name: QueryText | None = None
