"""Order details, the lines of orders: a product, its quantity, and what it was called and cost when it was sold."""

from sqlalchemy import CheckConstraint, Index, Integer, String, text
from sqlalchemy.orm import Mapped, mapped_column

from models.audited_fields import FOLLOWING
from models.base import Money, Row, list_index, not_nan, reference
from models.tax_class import Category, Rate

# A thousand lines, one behind the other.
BLOCK = "(id_key >> 10)"


class OrderDetail(Row):
    __tablename__ = "order_details"

    quantity: Mapped[int] = mapped_column(Integer)
    returned_quantity: Mapped[int] = mapped_column(Integer, server_default="0")
    price: Mapped[Money]
    # Copies of the product's at the time of the sale. The default is for the release before, which does not know it.
    name: Mapped[str] = mapped_column(String(200), server_default="")
    sku: Mapped[str | None] = mapped_column(String(64))
    # Included in the price.
    tax_rate: Mapped[Rate]
    vat_category: Mapped[Category]
    # The tax in what the line costs after its share of the discount.
    tax_included: Mapped[Money] = mapped_column(server_default="0", info=FOLLOWING)
    order_id: Mapped[int] = mapped_column(reference("orders.id_key", ondelete="CASCADE"))
    product_id: Mapped[int] = mapped_column(reference("products.id_key"))

    __table_args__ = (
        CheckConstraint("quantity > 0", name="quantity_positive"),
        CheckConstraint("price > 0", name="price_positive"),
        not_nan("price"),
        CheckConstraint("tax_included >= 0", name="tax_included_not_negative"),
        not_nan("tax_included"),
        # NaN is above all numbers.
        CheckConstraint("tax_rate BETWEEN 0 AND 100", name="tax_rate_known"),
        CheckConstraint("returned_quantity BETWEEN 0 AND quantity", name="returned_within_quantity"),
        list_index("order_details", "created_at"),
        list_index("order_details", "order_id"),
        list_index("order_details", "product_id"),
        # Where the lines of late orders begin: see `repositories.order_detail`. One of keys and numbers costs a new line little.
        Index("ix_order_details_block", text(BLOCK), "order_id"),
    )
