"""Bill lines: what a bill keeps of the lines of its order when that is deleted."""

from decimal import Decimal

from sqlalchemy import BigInteger, CheckConstraint, Index, Integer, Numeric, PrimaryKeyConstraint, String
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Money, not_nan, reference
from models.tax_class import Category


class BillLine(Base):
    """A line of a bill whose order is gone. As long as there is an order, its lines are those of the bill."""

    __tablename__ = "bill_lines"

    bill_id: Mapped[int] = mapped_column(reference("bills.id_key", ondelete="CASCADE"))
    # The key that the line had in its order.
    order_detail_id: Mapped[int] = mapped_column(BigInteger)
    product_id: Mapped[int] = mapped_column(reference("products.id_key"))
    name: Mapped[str] = mapped_column(String(200))
    sku: Mapped[str | None] = mapped_column(String(64))
    quantity: Mapped[int] = mapped_column(Integer)
    price: Mapped[Money]
    # Its share of what the discount took off the bill.
    discount: Mapped[Money]
    # Included in the price.
    tax_rate: Mapped[Decimal] = mapped_column(Numeric(6, 3))
    vat_category: Mapped[Category]
    # The tax in what it costs after its share of the discount.
    tax_included: Mapped[Money] = mapped_column(server_default="0")

    __table_args__ = (
        PrimaryKeyConstraint("bill_id", "order_detail_id"),
        CheckConstraint("quantity > 0", name="quantity_positive"),
        CheckConstraint("price > 0", name="price_positive"),
        not_nan("price"),
        not_nan("discount"),
        not_nan("tax_included"),
        # NaN is above all numbers.
        CheckConstraint("tax_rate BETWEEN 0 AND 100", name="tax_rate_known"),
        # For whoever deletes the product.
        Index("ix_bill_lines_product_id", "product_id"),
    )
