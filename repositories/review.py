"""Queries on reviews."""

from collections.abc import Sequence

from sqlalchemy import bindparam, select

from models import Product, Review
from repositories.base import BaseRepository
from repositories.event_writing import Told
from repositories.query.filters import by_value
from schemas.review import ReviewRead


class ReviewRepository(BaseRepository[Review]):
    model = Review
    told = Told(Review, ReviewRead, "review")
    owner = "client_id"
    # Those of products that everybody may see: a review would tell of the others. A subquery for each row, which is one
    # look at an index: a join would read all products to count some reviews.
    public = (
        select(Product.active).where(Product.id_key == Review.product_id).correlate(Review).scalar_subquery().is_(True)
    )
    filters = {
        **by_value(product_id=Review.product_id),
        "min_rating": Review.rating >= bindparam("min_rating"),
    }

    def lock_of_products(self, product_ids: Sequence[int]) -> Sequence[int]:
        """The keys of the reviews of these products, locked."""
        found = select(Review.id_key).where(Review.product_id.in_(product_ids)).order_by(Review.id_key)
        return self.session.scalars(found.with_for_update()).all()
