"""Placing an order: bill, order and details in one transaction, all or nothing."""

from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Session

from infrastructure.cache.tags import Invalidation
from repositories.base import is_key
from repositories.checkout import CheckoutRepository, KeyToKeep, NewOrder, PlacedOrder, placed, placing
from schemas.checkout import Checkout
from schemas.field_types import MAX_MONEY
from security.principal import EVERYBODY, Principal
from services.base import invalidation_of
from services.bill import amount_to_pay, require_client_number
from services.declared_errors import refuses
from services.errors import (
    AlreadyExists,
    AmountTooLarge,
    DiscountTooLarge,
    InsufficientStock,
    NotFound,
    PriceMismatch,
    ProductNotAvailable,
    RuleBroken,
    TotalMismatch,
)
from services.idempotency import KeyedRequest
from services.identity.audit import current_author
from services.identity.errors import Forbidden
from services.integrity import violations_of
from services.order import OrderService
from services.ownership import require_own_client
from services.product import ProductService, sale_price
from services.single_statement import SingleStatement

__all__ = ["CheckoutService", "PlacedOrder", "require_permitted", "single_statement"]


def require_permitted(checkout: Checkout, principal: Principal) -> None:
    """Raise `Forbidden` for what customers do not decide: another client, a discount, the bill's number, the date.

    A discount of nothing is what they get anyway.
    """
    if not principal.is_customer:
        return
    require_own_client(principal, checkout.client_id)
    for name in ("bill_number", "date"):
        if checkout.optional(name) is not None:
            raise Forbidden(text=f"The {name} is given by the shop")
    if checkout.discount:
        raise Forbidden(text="A discount is given by the shop")


def single_statement(
    checkout: Checkout, keyed: KeyedRequest | None, location: str
) -> SingleStatement[PlacedOrder] | None:
    """The statement that places the order, and keeps its response under the key; None where one is not enough.

    `location` is the path before the order's key. Where the statement gives no order, `CheckoutService` finds out why
    and raises that.
    """
    ids = [line.product_id for line in checkout.lines]
    has_more = checkout.address_id is not None or checkout.optional("bill_number") is not None
    if has_more or not all(map(is_key, (checkout.client_id, *ids))):
        return None
    key_to_keep = None if keyed is None else KeyToKeep(keyed.key, keyed.fingerprint, location)
    statement, parameters = placing(_asked(checkout), key_to_keep, current_author())

    def invalidation(order: PlacedOrder | None) -> Invalidation:
        # The products sold are known without the result.
        sold = Invalidation()
        _add_products(sold, ids)
        return sold

    return SingleStatement(statement, parameters, placed, invalidation)


class CheckoutService:
    """Places orders by several statements, on locked products."""

    def __init__(self, session: Session, principal: Principal = EVERYBODY) -> None:
        self.session, self.principal = session, principal
        self.repository = CheckoutRepository(session)

    @refuses(
        NotFound,
        RuleBroken,
        ProductNotAvailable,
        PriceMismatch,
        InsufficientStock,
        AmountTooLarge,
        DiscountTooLarge,
        TotalMismatch,
        AlreadyExists,
    )
    def place(self, checkout: Checkout) -> PlacedOrder:
        """The stored order, within the transaction of the session. Raises the first rule that the order breaks."""
        bill_number = checkout.optional("bill_number")
        if bill_number is not None:
            require_client_number(bill_number)
        OrderService(self.session, self.principal).require_client(checkout.client_id, checkout.address_id)
        locked_products = self.repository.lock_products(
            [line.product_id for line in checkout.lines if is_key(line.product_id)],
            ProductService.visible_to(self.principal),
        )
        _require_agreement(checkout, locked_products)
        with violations_of({"bill_number": bill_number, "client_id": checkout.client_id}):
            order = self.repository.place(_asked(checkout))
        assert order is not None, "the products were checked under their locks"
        _add_products(invalidation_of(self.session), locked_products)
        return order


def _asked(checkout: Checkout) -> NewOrder:
    """The order as the client asked for it."""
    return NewOrder(
        product_ids=[line.product_id for line in checkout.lines],
        quantities=[line.quantity for line in checkout.lines],
        offered=[line.offered for line in checkout.lines],
        discount=checkout.discount,
        expected_total=checkout.optional("expected_total"),
        payment_type=checkout.payment_type,
        delivery_method=checkout.delivery_method,
        client_id=checkout.client_id,
        bill_number=checkout.optional("bill_number"),
        date=checkout.optional("date"),
        address_id=checkout.address_id,
    )


def _add_products(invalidation: Invalidation, product_ids: Iterable[int]) -> None:
    for product_id in product_ids:
        invalidation.row_changed(ProductService.resource, product_id)


def _require_agreement(checkout: Checkout, locked_products: dict[int, Any]) -> None:
    """Raise the first rule that the order breaks."""
    for line in checkout.lines:
        if line.product_id not in locked_products:
            raise NotFound("Product", line.product_id)
    prices = [sale_price(locked_products[line.product_id], line.offered) for line in checkout.lines]
    _require_stock(checkout, locked_products)
    total = sum((price * line.quantity for price, line in zip(prices, checkout.lines, strict=True)), Decimal(0))
    _require_totals(checkout, total)


def _require_stock(checkout: Checkout, locked_products: dict[int, Any]) -> None:
    """Raise `InsufficientStock` if the lines of a product take more than there is, as a sum."""
    wanted: Counter[int] = Counter()
    for line in checkout.lines:
        wanted[line.product_id] += line.quantity
    short = [
        InsufficientStock(product_id, quantity, locked_products[product_id].stock)
        for product_id, quantity in wanted.items()
        if quantity > locked_products[product_id].stock
    ]
    if short:
        first = short[0]
        raise InsufficientStock(first.product_id, first.requested, first.available, short)


def _require_totals(checkout: Checkout, total: Decimal) -> None:
    if total > MAX_MONEY:
        raise AmountTooLarge
    if checkout.discount > total:
        raise DiscountTooLarge(checkout.discount, total)
    expected = checkout.optional("expected_total")
    to_pay = amount_to_pay(total, checkout.discount)
    if expected is not None and expected != to_pay:
        raise TotalMismatch(to_pay, expected)
