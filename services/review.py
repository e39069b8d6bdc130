"""Rules of reviews: customers write them about what they have bought, one about each product."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from infrastructure.cache.tags import Invalidation
from models import Review
from repositories.order_detail import OrderDetailRepository
from repositories.review import ReviewRepository
from services.base import BaseService, invalidation_of
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
        statement = super().single_statement(values) if values.get(_AUTHOR) is None else None
        return None if statement is None else replace(statement, invalidation=partial(_of_product, values[_PRODUCT]))

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
        self._product_has_changed(row)

    # Each of these moves the figures of the product, by a trigger.

    def was_added(self, row: Any) -> None:
        self._product_has_changed(row)

    def has_changed(self, row: Review) -> None:
        self._product_has_changed(row)

    def was_removed(self, row: Review) -> None:
        self._product_has_changed(row)

    def _product_has_changed(self, review: Any) -> None:
        invalidation_of(self.session).row_changed(ProductService.resource, review.product_id)


def _of_product(product_id: int, review: Any | None) -> Invalidation:
    """What a review makes old, also if nobody knows whether it is there."""
    invalidation = Invalidation()
    invalidation.row_changed(ProductService.resource, product_id)
    return invalidation


def _fixed_author() -> InvalidField:
    return InvalidField(("body", _AUTHOR), "is the customer who writes the review, and stays")
