"""The price history: each price of a product with the time from which it held. A trigger of `products` writes it."""

from datetime import datetime

from sqlalchemy import BigInteger, DateTime, Identity, Index, PrimaryKeyConstraint, func, literal_column, select, text
from sqlalchemy.orm import Mapped, aliased, column_property, mapped_column

from models.base import Base, Money, list_index, not_nan, reference


class PriceChange(Base):
    """Written with every new product and every new price, also by SQL of other programs.

    `valid_from` grows from each price of a product to its next, whatever the clock does.
    """

    __tablename__ = "price_changes"

    id_key: Mapped[int] = mapped_column(BigInteger, Identity(always=True))
    product_id: Mapped[int] = mapped_column(reference("products.id_key", ondelete="CASCADE"))
    price: Mapped[Money]
    # None for the first price of a product.
    old_price: Mapped[Money | None]
    valid_from: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.clock_timestamp())

    __table_args__ = (
        # The list of a product's prices is read in this order.
        PrimaryKeyConstraint("product_id", "id_key"),
        not_nan("price"),
        not_nan("old_price"),
        list_index("price_changes", "product_id", "valid_from"),
        # The latest reduction is found at once, however often the price has risen since.
        Index("ix_price_changes_reductions", "product_id", "valid_from", postgresql_where=text("price < old_price")),
    )


_next = aliased(PriceChange)
# When the next price began; None for the price that holds now.
PriceChange.valid_until = column_property(
    select(_next.valid_from)
    .where(_next.product_id == PriceChange.product_id, _next.id_key > PriceChange.id_key)
    .order_by(_next.id_key)
    .limit(literal_column("1"))
    .correlate_except(_next)
    .scalar_subquery(),
    deferred=True,
)
