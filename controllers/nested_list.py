"""Lists below another row: the reviews of a product, the addresses and bills of a client, the products of a category."""

from dataclasses import dataclass
from typing import Any

from schemas.base import ListQuery
from services.base import BaseService


@dataclass(frozen=True, slots=True)
class NestedList:
    """Where the rows of an entity are also listed: below the row of `parent` to which their `field` points.

    `query` has the filters of the entity's own list without `field`.
    """

    parent: type[BaseService[Any]]
    field: str
    query: type[ListQuery]
    # The last part of the path, where that is not the entity's own.
    name: str | None = None
