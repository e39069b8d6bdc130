"""Routes of reviews."""

from controllers.base import BaseController
from controllers.nested_list import NestedList
from middleware.cache_control import SHARED
from schemas.review import ProductReviewsQuery, ReviewCreate, ReviewQuery, ReviewRead, ReviewUpdate
from security.policy import OWN, PUBLIC, needs
from services.product import ProductService
from services.review import ReviewService


class ReviewController(BaseController):
    reads, writes, policies = PUBLIC, OWN, {"DELETE": needs("catalog:write", or_own=True)}
    service = ReviewService
    create_schema, update_schema = ReviewCreate, ReviewUpdate
    cache_control = SHARED
    read_schema, query_schema = ReviewRead, ReviewQuery
    nested = NestedList(ProductService, "product_id", ProductReviewsQuery)
    example = {"rating": 4.5, "comment": "Warm light, sturdy foot", "product_id": 1, "client_id": None}
