"""What is sold: its price now, and how much of it is left."""

from sqlalchemy import BigInteger, CheckConstraint, Computed, Index, String, Text, text, true
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Money, Row, is_a_number, listed_by, ranged_by, reference, unique_by


class Product(Row):
    __tablename__ = "products"

    name: Mapped[str] = mapped_column(String(200))
    sku: Mapped[str | None] = mapped_column(String(64), unique=True)
    description: Mapped[str | None] = mapped_column(Text)
    price: Mapped[Money]
    stock: Mapped[int] = mapped_column(BigInteger, server_default="0")
    category_id: Mapped[int] = mapped_column(reference("categories.id_key"))
    image: Mapped[str | None] = mapped_column(String(500))
    active: Mapped[bool] = mapped_column(server_default=true())
    # A column of its own, because an index over `stock` itself would have to follow every sale.
    in_stock: Mapped[bool] = mapped_column(Computed("stock > 0", persisted=True))

    __table_args__ = (
        CheckConstraint("stock >= 0", name="stock_not_negative"),
        CheckConstraint("price > 0", name="price_positive"),
        is_a_number("price"),
        listed_by("products", "active"),
        listed_by("products", "category_id"),
        listed_by("products", "created_at"),
        listed_by("products", "in_stock"),
        listed_by("products", "price"),
        listed_by("products", "name"),
        ranged_by("products", "cents", text("((price * 100)::bigint)")),
        unique_by("products", "sku"),
        Index("ix_products_name_trigram", "name", postgresql_using="gin", postgresql_ops={"name": "gin_trgm_ops"}),
        # Room in every page for what sales write anew, so that they need not touch the indexes.
        {"postgresql_with": {"fillfactor": 85}},
    )
