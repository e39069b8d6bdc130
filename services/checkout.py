"""Placing an order: bill, order and details in one transaction, or nothing at all."""

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import RowMapping
from sqlalchemy.orm import Session

from models.bill import is_server_number
from repositories.base import is_key
from repositories.checkout import CheckoutRepository, NewOrder
from schemas.checkout import Checkout
from schemas.fields import MAX_MONEY
from services.base import STALE
from services.bill import amount_to_pay
from services.errors import (
    AmountTooLarge,
    DiscountTooLarge,
    InsufficientStock,
    InvalidField,
    NotFound,
    PriceMismatch,
    ProductNotAvailable,
    TotalMismatch,
)
from services.integrity import violations_of
from services.order import OrderService
from services.product import ProductService


class CheckoutService:
    """Checks everything on locked products first, and writes once all rules agree."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.repository = CheckoutRepository(session)

    def place(self, checkout: Checkout) -> Sequence[RowMapping]:
        """The stored order: one mapping per detail, with the columns of order, bill and detail."""
        bill_number = checkout.optional("bill_number")
        if bill_number is not None and is_server_number(bill_number):
            raise InvalidField(("body", "bill_number"), "numbers of this form are given by the server alone")
        if checkout.address_id is not None:
            OrderService(self.session).require_address(checkout.address_id, checkout.client_id)
        shelf = self._locked_shelf(checkout)
        prices = [_price(shelf[line.product_id], line.offered) for line in checkout.lines]
        self._require_stock(checkout, shelf)
        total = sum((price * line.quantity for price, line in zip(prices, checkout.lines, strict=True)), Decimal(0))
        _require_totals(checkout, total)
        order = NewOrder(
            product_ids=[line.product_id for line in checkout.lines],
            quantities=[line.quantity for line in checkout.lines],
            prices=prices,
            total=total,
            discount=checkout.discount,
            payment_type=checkout.payment_type,
            delivery_method=checkout.delivery_method,
            client_id=checkout.client_id,
            bill_number=bill_number,
            date=checkout.optional("date"),
            address_id=checkout.address_id,
        )
        # The foreign key itself finds out whether the client exists, without a question of its own.
        with violations_of({"bill_number": bill_number, "client_id": checkout.client_id}):
            placed = self.repository.place(order)
        self._tell_the_cache(shelf)
        return placed

    def _locked_shelf(self, checkout: Checkout) -> dict[int, Any]:
        shelf = self.repository.lock_shelf([line.product_id for line in checkout.lines if is_key(line.product_id)])
        for line in checkout.lines:
            if line.product_id not in shelf:
                raise NotFound("Product", line.product_id)
        return shelf

    def _require_stock(self, checkout: Checkout, shelf: dict[int, Any]) -> None:
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

    def _tell_the_cache(self, shelf: dict[int, Any]) -> None:
        stale = self.session.info.setdefault(STALE, set())
        stale.add(ProductService.list_tag())
        stale.update(ProductService.row_tag(product_id) for product_id in shelf)


def _price(product: Any, offered: Decimal | None) -> Decimal:
    if not product.active:
        raise ProductNotAvailable(product.id_key)
    if offered is not None and offered != product.price:
        raise PriceMismatch(product.price, offered)
    price: Decimal = product.price
    return price


def _require_totals(checkout: Checkout, total: Decimal) -> None:
    if total > MAX_MONEY:
        raise AmountTooLarge
    if checkout.discount > total:
        raise DiscountTooLarge(checkout.discount, total)
    expected = checkout.optional("expected_total")
    to_pay = amount_to_pay(total, checkout.discount)
    if expected is not None and expected != to_pay:
        raise TotalMismatch(to_pay, expected)
