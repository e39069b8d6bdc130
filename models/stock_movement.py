"""Ledger of the stock: every change of a product's stock is a row, written in the same transaction."""

import datetime as dt
from enum import StrEnum

from sqlalchemy import BigInteger, CheckConstraint, DateTime, Identity, String, func
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, known, list_index, reference


class StockReason(StrEnum):
    """Why a stock changed."""

    INITIAL = "initial"
    SALE = "sale"
    CANCEL = "cancel"
    RETURN = "return"
    # What came back and cannot be sold again, behind its return.
    WRITE_OFF = "write_off"
    RECEIPT = "receipt"
    EDIT = "edit"


class StockMovement(Base):
    """One change. Rows are never updated, and deleted only with their product.

    `order_detail_id` is kept after its detail was deleted, so it is no foreign key.
    """

    __tablename__ = "stock_movements"

    id_key: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    product_id: Mapped[int] = mapped_column(reference("products.id_key", ondelete="CASCADE"))
    delta: Mapped[int] = mapped_column(BigInteger)
    reason: Mapped[str] = mapped_column(String(10))
    order_detail_id: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True), server_default=func.clock_timestamp())

    __table_args__ = (
        CheckConstraint("delta <> 0", name="delta_not_zero"),
        known("reason", StockReason),
        list_index("stock_movements", "product_id"),
    )
