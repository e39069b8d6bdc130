"""Bodies, responses and filters of reviews."""

from typing import ClassVar

from pydantic import BaseModel, Field

from schemas.base import Create, ListQuery, Read, update_of
from schemas.field_types import Key, OrNull, Rating, Reference, Stars, Text2000
from schemas.query_types import QueryNumber, QueryReferences


class ReviewCreate(Create):
    """A new review of a product."""

    rating: Rating
    comment: OrNull[Text2000] = None
    product_id: Reference
    client_id: Reference | None = Field(
        default=None, description="The server's: the customer who writes it, if it is one"
    )


ReviewUpdate = update_of(ReviewCreate)


class ReviewRead(Read):
    """A review of a product."""

    rating: Stars
    comment: str | None
    product_id: Key
    client_id: Key | None


class ProductReviewsQuery(ListQuery):
    """Filters of the reviews of one product."""

    row: ClassVar[type[BaseModel]] = ReviewRead

    min_rating: QueryNumber | None = Field(default=None, description="Only rows rated at least this")


class ReviewQuery(ProductReviewsQuery):
    """Filters of the list of reviews."""

    product_id: QueryReferences = ()
