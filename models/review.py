"""Reviews of a product, deleted with the product."""

from decimal import Decimal

from sqlalchemy import CheckConstraint, Numeric, Text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Row, list_index, reference


class Review(Row):
    __tablename__ = "reviews"

    rating: Mapped[Decimal] = mapped_column(Numeric(3, 2))
    comment: Mapped[str | None] = mapped_column(Text)
    product_id: Mapped[int] = mapped_column(reference("products.id_key", ondelete="CASCADE"))

    __table_args__ = (
        CheckConstraint("rating >= 0 AND rating <= 5", name="rating_range"),
        list_index("reviews", "created_at"),
        list_index("reviews", "product_id"),
        list_index("reviews", "rating"),
    )
