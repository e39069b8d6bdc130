"""Payments of bills. They are written once, and never changed or deleted."""

import datetime as dt
from enum import StrEnum

from sqlalchemy import CheckConstraint, DateTime, String, func
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Money, Row, known, list_index, not_nan
from models.base import reference as references


class PaymentMethod(StrEnum):
    """How money has come in, or was given back."""

    CASH = "cash"
    CARD = "card"
    TRANSFER = "transfer"


class Payment(Row):
    """Money for a bill; that of a credit bill was given back."""

    __tablename__ = "payments"

    bill_id: Mapped[int] = mapped_column(references("bills.id_key"))
    amount: Mapped[Money]
    method: Mapped[str] = mapped_column(String(10))
    # What finds it again elsewhere, such as the number of a transfer.
    reference: Mapped[str | None] = mapped_column(String(100))
    paid_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())

    __table_args__ = (
        CheckConstraint("amount > 0", name="amount_positive"),
        not_nan("amount"),
        known("method", PaymentMethod),
        list_index("payments", "created_at"),
        list_index("payments", "bill_id"),
        list_index("payments", "method"),
    )
