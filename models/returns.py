"""Returns: goods of an order that came back, and what was given back for them."""

from sqlalchemy import CheckConstraint, Index, Integer, PrimaryKeyConstraint, String, true
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Money, Row, list_index, not_nan, range_index, reference


class Return(Row):
    """One return. Neither it nor its lines ever change."""

    __tablename__ = "returns"

    order_id: Mapped[int] = mapped_column(reference("orders.id_key"))
    credit_bill_id: Mapped[int] = mapped_column(reference("bills.id_key"), unique=True)
    reason: Mapped[str | None] = mapped_column(String(500))
    # Whether the goods can be sold again.
    restock: Mapped[bool] = mapped_column(server_default=true())

    __table_args__ = (
        list_index("returns", "created_at"),
        list_index("returns", "order_id"),
        range_index("returns", "created_at", "created_at"),
    )


class ReturnLine(Base):
    """So many pieces of a line of the order, and the money given back for them."""

    __tablename__ = "return_lines"

    return_id: Mapped[int] = mapped_column(reference("returns.id_key", ondelete="CASCADE"))
    order_detail_id: Mapped[int] = mapped_column(reference("order_details.id_key"))
    product_id: Mapped[int] = mapped_column(reference("products.id_key"))
    quantity: Mapped[int] = mapped_column(Integer)
    amount: Mapped[Money]
    # The tax in it.
    tax_included: Mapped[Money] = mapped_column(server_default="0")
    # Of these pieces, those that a shipment had taken to the client; the others never left.
    shipped_quantity: Mapped[int] = mapped_column(Integer, server_default="0")

    __table_args__ = (
        PrimaryKeyConstraint("return_id", "order_detail_id"),
        CheckConstraint("quantity > 0", name="quantity_positive"),
        CheckConstraint("shipped_quantity BETWEEN 0 AND quantity", name="shipped_within_quantity"),
        CheckConstraint("amount >= 0", name="amount_not_negative"),
        not_nan("amount"),
        not_nan("tax_included"),
        # For whoever deletes what is referred to.
        Index("ix_return_lines_order_detail_id", "order_detail_id"),
        Index("ix_return_lines_product_id", "product_id"),
    )
