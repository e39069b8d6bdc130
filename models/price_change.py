"""The price history: each price of a product with the time from which it held. A trigger of `products` writes it."""

from datetime import datetime

from sqlalchemy import BigInteger, DateTime, Identity, func
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Money, list_index, not_nan, reference


class PriceChange(Base):
    """Written with every new product and every new price, also by SQL of other programs."""

    __tablename__ = "price_changes"

    id_key: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    product_id: Mapped[int] = mapped_column(reference("products.id_key", ondelete="CASCADE"))
    price: Mapped[Money]
    valid_from: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.clock_timestamp())

    __table_args__ = (not_nan("price"), list_index("price_changes", "product_id", "valid_from"))
