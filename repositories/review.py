"""Queries on reviews."""

from sqlalchemy import bindparam

from models import Review
from repositories.base import BaseRepository


class ReviewRepository(BaseRepository[Review]):
    model = Review
    filters = {
        "product_id": Review.product_id == bindparam("product_id"),
        "min_rating": Review.rating >= bindparam("min_rating"),
    }
