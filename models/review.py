"""What people say of a product; it goes when the product goes."""

from decimal import Decimal

from sqlalchemy import CheckConstraint, Numeric, Text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Row, listed_by, reference


class Review(Row):
    __tablename__ = "reviews"

    rating: Mapped[Decimal] = mapped_column(Numeric(3, 2))
    comment: Mapped[str | None] = mapped_column(Text)
    product_id: Mapped[int] = mapped_column(reference("products.id_key", ondelete="CASCADE"))

    __table_args__ = (
        CheckConstraint("rating >= 0 AND rating <= 5", name="rating_range"),
        listed_by("reviews", "created_at"),
        listed_by("reviews", "product_id"),
        listed_by("reviews", "rating"),
    )
