"""Placing an order: bill, order and details in one transaction, or nothing at all."""

from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Session

from infrastructure.cache.tags import News
from repositories.base import is_key
from repositories.checkout import CheckoutRepository, KeptUnder, NewOrder, PlacedOrder, placed, placing
from schemas.checkout import Checkout
from schemas.fields import MAX_MONEY
from services.base import news_of
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
from services.integrity import violations_of
from services.order import OrderService
from services.product import ProductService, sale_price
from services.single_statement import AtOnce

__all__ = ["CheckoutService", "PlacedOrder", "at_once"]


def at_once(checkout: Checkout, keyed: KeyedRequest | None, location: str) -> AtOnce[PlacedOrder] | None:
    """How to place the order by one statement, which also keeps its answer under the key; None where it takes more.

    `location` is what stands before the order's key in its path. Whoever gets no order from it asks `CheckoutService`,
    which finds out why and says so.
    """
    ids = [line.product_id for line in checkout.lines]
    has_more = checkout.address_id is not None or checkout.optional("bill_number") is not None
    if has_more or not all(map(is_key, (checkout.client_id, *ids))):
        return None
    kept_under = None if keyed is None else KeptUnder(keyed.key, keyed.fingerprint, location)
    statement, parameters = placing(_asked(checkout), kept_under)

    def news(order: PlacedOrder | None) -> News:
        # Which products are sold was known before.
        sold = News()
        _tell_of(sold, ids)
        return sold

    return AtOnce(statement, parameters, placed, news)


class CheckoutService:
    """Places orders step by step, on locked products."""

    def __init__(self, session: Session) -> None:
        self.session = session
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
        """The stored order, within the transaction of the session. Raises what the rules say against it."""
        bill_number = checkout.optional("bill_number")
        if bill_number is not None:
            require_client_number(bill_number)
        OrderService(self.session).require_client(checkout.client_id, checkout.address_id)
        shelf = self.repository.lock_shelf([line.product_id for line in checkout.lines if is_key(line.product_id)])
        _require_agreement(checkout, shelf)
        with violations_of({"bill_number": bill_number, "client_id": checkout.client_id}):
            order = self.repository.place(_asked(checkout))
        assert order is not None, "the products are locked as they were looked at"
        _tell_of(news_of(self.session), shelf)
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


def _tell_of(news: News, product_ids: Iterable[int]) -> None:
    for product_id in product_ids:
        news.row_changed(ProductService.resource, product_id)


def _require_agreement(checkout: Checkout, shelf: dict[int, Any]) -> None:
    """Raise the first thing that the rules say against the order."""
    for line in checkout.lines:
        if line.product_id not in shelf:
            raise NotFound("Product", line.product_id)
    prices = [sale_price(shelf[line.product_id], line.offered) for line in checkout.lines]
    _require_stock(checkout, shelf)
    total = sum((price * line.quantity for price, line in zip(prices, checkout.lines, strict=True)), Decimal(0))
    _require_totals(checkout, total)


def _require_stock(checkout: Checkout, shelf: dict[int, Any]) -> None:
    """Lines of the same product are summed: together they must not take more than there is."""
    wanted: Counter[int] = Counter()
    for line in checkout.lines:
        wanted[line.product_id] += line.quantity
    short = [
        InsufficientStock(product_id, quantity, shelf[product_id].stock)
        for product_id, quantity in wanted.items()
        if quantity > shelf[product_id].stock
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
