"""Orders, their statuses and their methods of delivery."""

import datetime as dt
from decimal import Decimal
from enum import IntEnum
from typing import Annotated, Any

from sqlalchemy import JSON, CheckConstraint, DateTime, FetchedValue, Numeric, SmallInteger, String, func
from sqlalchemy.orm import Mapped, mapped_column

from models.audited_fields import FOLLOWING
from models.base import Currency, Money, Row, known, list_index, not_nan, range_index, reference
from models.bill import PaymentStatus
from models.tax_class import Category, Rate


class OrderStatus(IntEnum):
    """Where an order stands. It moves one way only."""

    PENDING = 1
    IN_PROGRESS = 2
    DELIVERED = 3
    CANCELED = 4

    def can_change_to(self, other: "OrderStatus") -> bool:
        return other in _MOVES[self]

    @property
    def next(self) -> "OrderStatus | None":
        """The next status on the way to DELIVERED; None at the end."""
        return _STEPS.get(self)


_STEPS = {OrderStatus.PENDING: OrderStatus.IN_PROGRESS, OrderStatus.IN_PROGRESS: OrderStatus.DELIVERED}
_MOVES = {
    OrderStatus.PENDING: {OrderStatus.IN_PROGRESS, OrderStatus.CANCELED},
    OrderStatus.IN_PROGRESS: {OrderStatus.DELIVERED, OrderStatus.CANCELED},
    OrderStatus.DELIVERED: set(),
    OrderStatus.CANCELED: set(),
}


class DeliveryMethod(IntEnum):
    """How the goods reach the client."""

    DRIVE_THRU = 1
    ON_HAND = 2
    HOME_DELIVERY = 3


# A figure of the order's bill, so that lists of orders are rows of one table. A trigger of the bill carries each change of
# it over; the checkout gives it with a new order.
_OfBill = Annotated[
    Decimal, mapped_column(Numeric(12, 2), server_default=FetchedValue(), server_onupdate=FetchedValue())
]


_OfRate = Annotated[Decimal | None, mapped_column(Numeric(12, 2), info=FOLLOWING)]


class Order(Row):
    __tablename__ = "orders"

    date: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    total: Mapped[Money] = mapped_column(server_default="0")
    returned_total: Mapped[Money] = mapped_column(server_default="0")
    discount: Mapped[_OfBill]
    shipping: Mapped[_OfBill]
    tax_included: Mapped[_OfBill]
    # The bill's total, and what its credit bills leave of it.
    to_pay: Mapped[_OfBill]
    refunded: Mapped[_OfBill]
    net: Mapped[_OfBill]
    paid: Mapped[_OfBill]
    payment_status: Mapped[str] = mapped_column(String(11), FetchedValue(), server_onupdate=FetchedValue())
    # At which its shipping is taxed.
    shipping_tax_rate: Mapped[Rate]
    shipping_vat_category: Mapped[Category]
    delivery_method: Mapped[int] = mapped_column(SmallInteger)
    status: Mapped[int] = mapped_column(SmallInteger, server_default=f"{OrderStatus.PENDING:d}")
    client_id: Mapped[int] = mapped_column(reference("clients.id_key"))
    bill_id: Mapped[int] = mapped_column(reference("bills.id_key"), unique=True)
    address_id: Mapped[int | None] = mapped_column(reference("addresses.id_key", ondelete="SET NULL"))
    # The address as it was when the order was placed; what becomes of the address later changes nothing here.
    ship_to: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    currency: Mapped[Currency]
    # The shipping rate that it was placed with; None where no checkout placed it, and nothing is charged. The bill's
    # `shipping` follows from it and the lines.
    shipping_price: Mapped[_OfRate]
    shipping_free_from: Mapped[_OfRate]

    __table_args__ = (
        CheckConstraint("total >= 0", name="total_not_negative"),
        CheckConstraint("returned_total >= 0", name="returned_total_not_negative"),
        not_nan("total"),
        not_nan("returned_total"),
        known("delivery_method", DeliveryMethod),
        known("status", OrderStatus),
        known("payment_status", PaymentStatus),
        CheckConstraint("shipping_tax_rate BETWEEN 0 AND 100", name="shipping_tax_rate_known"),
        CheckConstraint(
            "'NaN' NOT IN (discount, shipping, tax_included, to_pay, refunded, net, paid)", name="figures_are_numbers"
        ),
        CheckConstraint(
            "shipping_price >= 0 AND shipping_price <> 'NaN'"
            " AND shipping_free_from >= 0 AND shipping_free_from <> 'NaN'",
            name="shipping_rate_valid",
        ),
        list_index("orders", "created_at"),
        list_index("orders", "date"),
        list_index("orders", "status", "delivery_method"),
        list_index("orders", "client_id", "status"),
        list_index("orders", "address_id"),
        range_index("orders", "date", "date"),
    )

    @property
    def is_open(self) -> bool:
        """Whether the order is neither delivered nor canceled: only then may lines change, or a deletion return stock."""
        return self.status in (OrderStatus.PENDING, OrderStatus.IN_PROGRESS)

    def shipping_of(self, goods: Decimal) -> Decimal:
        """What the delivery of goods that cost so much, after the discount, costs by the rate of the order."""
        is_free = self.shipping_free_from is not None and goods >= self.shipping_free_from
        return Decimal(0) if self.shipping_price is None or is_free else self.shipping_price
