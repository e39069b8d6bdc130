"""Shipping rates: what the delivery of an order costs, by its method and the country that it goes to."""

from decimal import Decimal
from typing import Annotated

from sqlalchemy import CheckConstraint, Index, Numeric, SmallInteger, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Money, Row, known, list_index, not_nan
from models.order import DeliveryMethod
from models.unique_fields import UNIQUE_FIELD

_OptionalMoney = Annotated[Decimal | None, mapped_column(Numeric(12, 2))]


class ShippingRate(Row):
    """One rate. Orders keep a copy of theirs, so that a change of it changes no placed order."""

    __tablename__ = "shipping_rates"

    delivery_method: Mapped[int] = mapped_column(SmallInteger)
    # None: every country that has no rate of its own.
    country: Mapped[str | None] = mapped_column(String(2))
    price: Mapped[Money]
    # Goods that cost so much or more are delivered free; None: never.
    free_from: Mapped[_OptionalMoney]

    __table_args__ = (
        CheckConstraint("price >= 0", name="price_not_negative"),
        CheckConstraint("free_from >= 0", name="free_from_not_negative"),
        not_nan("price"),
        not_nan("free_from"),
        known("delivery_method", DeliveryMethod),
        UniqueConstraint("delivery_method", "country"),
        Index(
            "uq_shipping_rates_any_country",
            "delivery_method",
            unique=True,
            postgresql_where=text("country IS NULL"),
            info={UNIQUE_FIELD: "delivery_method"},
        ),
        list_index("shipping_rates", "country"),
        list_index("shipping_rates", "created_at"),
        list_index("shipping_rates", "delivery_method"),
    )
