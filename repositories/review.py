"""Queries on reviews."""

from sqlalchemy import bindparam

from models import Review
from repositories.base import BaseRepository
from repositories.query.filters import by_value


class ReviewRepository(BaseRepository[Review]):
    model = Review
    filters = {
        **by_value(product_id=Review.product_id),
        "min_rating": Review.rating >= bindparam("min_rating"),
    }
