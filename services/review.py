"""Rules of reviews."""

from models import Review
from repositories.review import ReviewRepository
from services.base import BaseService
from services.product import ProductService


class ReviewService(BaseService[Review]):
    thing, resource = "Review", "reviews"
    repository_type = ReviewRepository
    references = {"product_id": ProductService}
