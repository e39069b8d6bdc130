"""Daily sales: what the bills of a day add up to, kept so that a report reads days and not bills.

A day whose bills have changed is written down in `sales_changes` by triggers, in the transaction of the change, and is
computed anew from its bills (`repositories.daily_sales`).
"""

import datetime as dt
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from sqlalchemy import BigInteger, Column, Date, Index, Numeric, String, Table, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base

# Many bills of a day add up to more than one of them may be.
Sum = Annotated[Decimal, mapped_column(Numeric(20, 2))]


class Dimension(StrEnum):
    """By what the sales of a day are told apart. Each of them has all sales of the day, so that its rows sum to the day."""

    PAYMENT_TYPE = "payment_type"
    COUNTRY = "country"
    CLIENT = "client"
    PRODUCT = "product"
    # A country, a rate in it and its VAT category.
    TAX = "tax"


class SalesGroup(StrEnum):
    """By what the sales of a report are summed up."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    PRODUCT = "product"
    CATEGORY = "category"
    CLIENT = "client"
    COUNTRY = "country"
    PAYMENT_TYPE = "payment_type"


class DailySales(Base):
    """The sales of a day with one payment type, to one country or client, of one product, or at one rate of tax.

    Without one the key is empty. Of a rate, gross and refunded are what bills and credit bills have at it.
    """

    __tablename__ = "daily_sales"

    dimension: Mapped[str] = mapped_column(String(12), primary_key=True)
    day: Mapped[dt.date] = mapped_column(Date, primary_key=True)
    key: Mapped[str] = mapped_column(String(20), primary_key=True)
    orders: Mapped[int] = mapped_column(BigInteger)
    units: Mapped[int] = mapped_column(BigInteger)
    returned_units: Mapped[int] = mapped_column(BigInteger)
    gross: Mapped[Sum]
    discount: Mapped[Sum]
    shipping: Mapped[Sum]
    refunded: Mapped[Sum]
    tax: Mapped[Sum]

    __table_args__ = (
        # When a client bought for the first time.
        Index("ix_daily_sales_client", "key", "day", postgresql_where=text("dimension = 'client' AND orders > 0")),
    )


# Days whose bills have changed since their sales were computed; a day stands in it as often as that happened. No key: rows
# are written by every checkout, and are only ever taken out all together.
SALES_CHANGES = Table(
    "sales_changes", Base.metadata, Column("day", Date, nullable=False), Index("ix_sales_changes_day", "day")
)
