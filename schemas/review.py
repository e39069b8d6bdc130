"""Bodies, answers and filters of reviews."""

from decimal import Decimal
from typing import Annotated

from pydantic import Field, WithJsonSchema

from schemas.base import Create, ListQuery, Read, update_of
from schemas.fields import Key, QueryNumber, QueryReference, Rating, Reference, Text2000


class ReviewCreate(Create):
    """A new review of a product."""

    rating: Rating
    comment: Text2000 | None = None
    product_id: Reference


ReviewUpdate = update_of(ReviewCreate)


class ReviewRead(Read):
    """A review of a product."""

    rating: Annotated[Decimal, WithJsonSchema({"type": "number", "minimum": 0, "maximum": 5})]
    comment: str | None
    product_id: Key


class ReviewQuery(ListQuery):
    """Filters of the list of reviews."""

    product_id: QueryReference | None = None
    min_rating: QueryNumber | None = Field(default=None, description="Only rows rated at least this")
