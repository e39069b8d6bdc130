"""Reviews of a product, deleted with the product. A customer has one of each product at most."""

from decimal import Decimal

from sqlalchemy import CheckConstraint, Numeric, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Row, list_index, reference


class Review(Row):
    __tablename__ = "reviews"

    rating: Mapped[Decimal] = mapped_column(Numeric(3, 2))
    comment: Mapped[str | None] = mapped_column(Text)
    product_id: Mapped[int] = mapped_column(reference("products.id_key", ondelete="CASCADE"))
    # The customer who wrote it; None for those of anybody else.
    client_id: Mapped[int | None] = mapped_column(reference("clients.id_key", ondelete="SET NULL"))

    __table_args__ = (
        CheckConstraint("rating >= 0 AND rating <= 5", name="rating_range"),
        UniqueConstraint("client_id", "product_id"),
        list_index("reviews", "created_at"),
        list_index("reviews", "product_id"),
        list_index("reviews", "rating"),
    )
