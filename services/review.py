"""Rules of reviews: customers write them about what they have bought, one about each product."""

from collections.abc import Mapping
from typing import Any

from models import Review
from repositories.order_detail import OrderDetailRepository
from repositories.review import ReviewRepository
from services.base import BaseService
from services.errors import InvalidField
from services.identity.errors import Forbidden
from services.ownership import client_of
from services.product import ProductService
from services.single_statement import SingleStatement

_AUTHOR, _PRODUCT = "client_id", "product_id"


class ReviewService(BaseService[Review]):
    thing, resource = "Review", "reviews"
    repository_type = ReviewRepository
    references = {_PRODUCT: ProductService}

    @classmethod
    def single_statement(cls, values: dict[str, Any]) -> SingleStatement[Any] | None:
        # An author that somebody else gives is refused by `create`.
        return super().single_statement(values) if values.get(_AUTHOR) is None else None

    def require_own(self, values: Mapping[str, Any]) -> None:
        """Refuse another author than who writes, and a product that a customer has not bought.

        An order counts from the moment it is placed until it is canceled; goods that came back were bought.
        """
        if values.get(_AUTHOR, self.principal.client_id) != self.principal.client_id:
            raise _fixed_author()
        if self.principal.is_customer and _PRODUCT in values:
            product_id = values[_PRODUCT]
            ProductService(self.session, self.principal).hold(product_id)
            if not OrderDetailRepository(self.session).is_bought_by(client_of(self.principal), product_id):
                raise Forbidden(text=f"Product {product_id} is not among those that you have bought")

    def before_update(self, row: Review, changes: dict[str, Any]) -> None:
        if _AUTHOR in changes:
            raise _fixed_author()


def _fixed_author() -> InvalidField:
    return InvalidField(("body", _AUTHOR), "is the customer who writes the review, and stays")
