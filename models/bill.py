"""Bills, and the counter that numbers them without gaps."""

import datetime as dt
import re
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, CheckConstraint, Date, FetchedValue, Integer, String, false, text
from sqlalchemy.orm import Mapped, mapped_column

from models.audited_fields import FOLLOWING
from models.base import Base, Currency, Money, Row, known, list_index, not_nan, range_index, reference, unique_key
from models.text_key import text_key

_SERVER_NUMBER = re.compile(r"(bill|credit)-\d{4}-\d{6,}", re.ASCII)


class BillKind(StrEnum):
    """A bill of a sale, or one that gives money back for returned goods."""

    SALE = "sale"
    CREDIT = "credit"

    @property
    def prefix(self) -> str:
        """How the numbers of this kind begin."""
        return "BILL" if self is BillKind.SALE else "CREDIT"


class CreditReason(StrEnum):
    """Why a credit bill was made: its order was canceled or deleted, or goods of it came back."""

    CANCELED = "canceled"
    DELETED = "deleted"
    RETURNED = "returned"


class PaymentStatus(StrEnum):
    """What is paid of a bill: nothing, a part, all that its credit bills leave; or they leave nothing of it."""

    UNPAID = "unpaid"
    PARTLY_PAID = "partly_paid"
    PAID = "paid"
    REFUNDED = "refunded"


class PaymentType(StrEnum):
    """How a bill is paid."""

    CASH = "cash"
    CARD = "card"


def is_server_number(bill_number: str) -> bool:
    """Whether the number has the form that is reserved for the server, by its text key."""
    return _SERVER_NUMBER.fullmatch(text_key(bill_number)) is not None


class Bill(Row):
    __tablename__ = "bills"

    bill_number: Mapped[str] = mapped_column(String(50), unique=True)
    discount: Mapped[Money] = mapped_column(server_default="0")
    date: Mapped[dt.date] = mapped_column(Date, server_default=text("((now() AT TIME ZONE shop_time_zone())::date)"))
    total: Mapped[Money]
    payment_type: Mapped[str] = mapped_column(String(10))
    client_id: Mapped[int | None] = mapped_column(reference("clients.id_key"))
    kind: Mapped[str] = mapped_column(String(10), server_default=BillKind.SALE.value)
    refunds_bill_id: Mapped[int | None] = mapped_column(reference("bills.id_key"))
    # Of a credit bill.
    reason: Mapped[str | None] = mapped_column(String(10))
    # The sum of its credit bills, which a trigger keeps.
    refunded: Mapped[Money] = mapped_column(server_default="0")
    # Whether the order that the bill settled was deleted, which leaves a document as it is for ever.
    order_deleted: Mapped[bool] = mapped_column(server_default=false())
    # The country that such an order went to.
    ship_to_country: Mapped[str | None] = mapped_column(String(2), info=FOLLOWING)
    shipping: Mapped[Money] = mapped_column(server_default="0")
    # What is in the total.
    tax: Mapped[Money] = mapped_column(server_default="0", server_onupdate=FetchedValue())
    # Of each rate in it, objects with country, rate, vat_category, net, tax and gross. For a total that no lines account for a
    # trigger writes them, at no rate.
    taxes: Mapped[list[dict[str, Any]]] = mapped_column(
        JSON(none_as_null=True), server_onupdate=FetchedValue(), info=FOLLOWING
    )
    # The sum of its payments.
    paid: Mapped[Money] = mapped_column(server_default="0")
    # A trigger writes it, unless a new bill has it.
    payment_status: Mapped[str] = mapped_column(String(11), FetchedValue(), server_onupdate=FetchedValue())
    currency: Mapped[Currency]

    __table_args__ = (
        CheckConstraint("discount >= 0", name="discount_not_negative"),
        CheckConstraint("total >= 0", name="total_not_negative"),
        CheckConstraint("refunded >= 0", name="refunded_not_negative"),
        CheckConstraint("shipping >= 0", name="shipping_not_negative"),
        CheckConstraint("tax >= 0", name="tax_not_negative"),
        CheckConstraint("paid >= 0", name="paid_not_negative"),
        not_nan("discount"),
        not_nan("total"),
        not_nan("refunded"),
        not_nan("shipping"),
        not_nan("tax"),
        not_nan("paid"),
        known("payment_status", PaymentStatus),
        known("payment_type", PaymentType),
        known("kind", BillKind),
        known("reason", CreditReason),
        CheckConstraint(f"(kind = '{BillKind.CREDIT}') = (refunds_bill_id IS NOT NULL)", name="credit_refunds_a_bill"),
        list_index("bills", "client_id", "payment_type"),
        list_index("bills", "created_at"),
        list_index("bills", "date"),
        list_index("bills", "payment_type", "kind"),
        list_index("bills", "refunds_bill_id"),
        # As timestamps, of which the last stands for every later date: an index of dates would subtract two dates when it
        # inserts a row, and fail for infinity.
        range_index("bills", "date", text("(LEAST(date, '294276-12-31'::date)::timestamp without time zone)")),
        unique_key("bills", "bill_number"),
    )


class BillCounter(Base):
    """The last number given to a kind of bill in a year; its row is locked until the bill is committed."""

    __tablename__ = "bill_counters"

    kind: Mapped[str] = mapped_column(String(10), primary_key=True)
    year: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    last_number: Mapped[int] = mapped_column(Integer)
