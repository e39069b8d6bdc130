"""Order details, the lines of orders: a product, its quantity, and the price it was sold for."""

from sqlalchemy import CheckConstraint, Integer
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Money, Row, list_index, not_nan, reference


class OrderDetail(Row):
    __tablename__ = "order_details"

    quantity: Mapped[int] = mapped_column(Integer)
    returned_quantity: Mapped[int] = mapped_column(Integer, server_default="0")
    price: Mapped[Money]
    order_id: Mapped[int] = mapped_column(reference("orders.id_key", ondelete="CASCADE"))
    product_id: Mapped[int] = mapped_column(reference("products.id_key"))

    __table_args__ = (
        CheckConstraint("quantity > 0", name="quantity_positive"),
        CheckConstraint("price > 0", name="price_positive"),
        not_nan("price"),
        CheckConstraint("returned_quantity BETWEEN 0 AND quantity", name="returned_within_quantity"),
        list_index("order_details", "created_at"),
        list_index("order_details", "order_id"),
        list_index("order_details", "product_id"),
    )
