"""Routes of reviews."""

from controllers.base import BaseController
from middleware.cache_control import PUBLIC
from schemas.review import ReviewCreate, ReviewQuery, ReviewRead, ReviewUpdate
from services.review import ReviewService


class ReviewController(BaseController):
    service = ReviewService
    create_schema, update_schema = ReviewCreate, ReviewUpdate
    cache_control = PUBLIC
    read_schema, query_schema = ReviewRead, ReviewQuery
    example = {"rating": 4.5, "comment": "Warm light, sturdy foot", "product_id": 1}
