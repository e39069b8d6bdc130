"""Products, with their current price and stock, and the indexes of the search."""

from decimal import Decimal

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Computed,
    FetchedValue,
    Index,
    Numeric,
    SmallInteger,
    String,
    Text,
    false,
    func,
    text,
    true,
)
from sqlalchemy.orm import Mapped, mapped_column

from models.audited_fields import FOLLOWING
from models.base import Currency, Money, Row, list_index, not_nan, range_index, reference, tax_class_index, unique_key

# The searched text: the words of name, sku and description, normalized by the SQL function `search_text`. With the
# brackets that PostgreSQL adds, so that Alembic sees no difference.
SEARCHED_TEXT = "search_text((((name || ' ') || coalesce(sku, '')) || ' ') || coalesce(description, ''), false)"
SEARCHED_WORDS = f"string_to_array(btrim({SEARCHED_TEXT}), ' ')"
# The sku without the separators between its parts, for a search by its beginning.
SEARCHED_SKU = "replace(search_text(sku, false), ' ', '')"


# The first stock of each step after that of 0. Of the last one there is no end.
STOCK_STEPS = "'{1,2,4,8,16,32,64,128,256,512,1024,2048,4096,8192,16384,32768,65536,131072,262144,524288}'::bigint[]"


class Product(Row):
    __tablename__ = "products"

    name: Mapped[str] = mapped_column(String(200))
    sku: Mapped[str | None] = mapped_column(String(64), unique=True)
    description: Mapped[str | None] = mapped_column(Text)
    price: Mapped[Money]
    currency: Mapped[Currency]
    stock: Mapped[int] = mapped_column(BigInteger, server_default="0")
    category_id: Mapped[int] = mapped_column(reference("categories.id_key"))
    # None for that of its category.
    tax_class_id: Mapped[int | None] = mapped_column(reference("tax_classes.id_key"))
    image: Mapped[str | None] = mapped_column(String(500))
    active: Mapped[bool] = mapped_column(server_default=true())
    # When stock falls to it, or below, the product is to be ordered again, and an event says so.
    reorder_level: Mapped[int | None] = mapped_column(BigInteger)
    # Columns of their own, because an index on `stock` itself would change with every sale.
    in_stock: Mapped[bool] = mapped_column(Computed("stock > 0", persisted=True))
    low_stock: Mapped[bool] = mapped_column(Computed("coalesce(stock <= reorder_level, false)", persisted=True))
    # Rises with `stock`, and changes as seldom as its number of binary digits.
    stock_step: Mapped[int] = mapped_column(
        SmallInteger, Computed(f"width_bucket(stock, {STOCK_STEPS})::smallint", persisted=True)
    )
    # Triggers of reviews keep these. They are beside the version of the row: a review disturbs no edit.
    review_count: Mapped[int] = mapped_column(BigInteger, server_default="0", info=FOLLOWING)
    rating_sum: Mapped[Decimal] = mapped_column(Numeric, server_default="0", info=FOLLOWING)
    rating_average: Mapped[Decimal | None] = mapped_column(Numeric(3, 2), info=FOLLOWING)
    # The name for similarity search: its words in ASCII, so that pg_trgm handles all scripts in every locale. A trigger
    # writes it.
    search_name: Mapped[str] = mapped_column(Text, FetchedValue(), deferred=True)

    __table_args__ = (
        CheckConstraint("stock >= 0", name="stock_not_negative"),
        CheckConstraint("price > 0", name="price_positive"),
        CheckConstraint("reorder_level >= 0", name="reorder_level_not_negative"),
        not_nan("price"),
        list_index("products", "category_id", "in_stock", "active"),
        list_index(
            "products", "category_id", "low_stock", "in_stock", "active", name="ix_products_category_id_low_stock"
        ),
        list_index("products", "created_at"),
        list_index("products", "in_stock", "active"),
        # Of their own, because each column of few values that a filter leaves open doubles what a page costs.
        list_index("products", "low_stock", "in_stock", "active"),
        list_index("products", "stock_step"),
        list_index("products", "price"),
        list_index("products", "name"),
        tax_class_index("products"),
        range_index("products", "cents", text("((price * 100)::bigint)")),
        unique_key("products", "sku"),
        Index(
            "ix_products_search_name",
            "search_name",
            postgresql_using="gin",
            postgresql_ops={"search_name": "gin_trgm_ops"},
        ),
        Index("ix_products_words", text(SEARCHED_WORDS), postgresql_using="gin"),
        Index(
            "ix_products_sku_start",
            func.replace(func.search_text(sku, false()), " ", "").label("sku_start"),
            postgresql_ops={"sku_start": "text_pattern_ops"},
        ),
        # Free space in every page of the table, so that sales update rows without touching the indexes (HOT).
        {"postgresql_with": {"fillfactor": 85}},
    )
