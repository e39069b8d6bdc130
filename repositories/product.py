"""Queries on products and on the ledger of their stock."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, exists, func, insert, select

from models import OrderDetail, Product, StockMovement
from repositories.base import BaseRepository


class ProductRepository(BaseRepository[Product]):
    model = Product
    filters = {
        "sku": func.lower(Product.sku) == func.lower(bindparam("sku")),
        "category_id": Product.category_id == bindparam("category_id"),
        "min_price": Product.price >= bindparam("min_price"),
        "max_price": Product.price <= bindparam("max_price"),
        "in_stock": (Product.stock > 0) == bindparam("in_stock"),
        "active": Product.active == bindparam("active"),
        # Words of the name that resemble those asked for (pg_trgm); the trigram index serves it.
        "q": Product.name.bool_op("%>")(bindparam("q")),
    }
    rankings = {"q": func.word_similarity(bindparam("q"), Product.name)}

    def was_sold(self, product_id: int) -> bool:
        """Whether any order has, or had before it was canceled, a line of this product."""
        return bool(self.session.scalar(select(exists().where(OrderDetail.product_id == product_id))))


class StockMovementRepository(BaseRepository[Any]):
    model = StockMovement
    filters = {"product_id": StockMovement.product_id == bindparam("product_id")}

    def record(self, movements: Sequence[dict[str, Any]]) -> None:
        """Write entries of the ledger, each with `product_id`, `delta`, `reason` and `order_detail_id`."""
        if movements:
            self.session.execute(insert(StockMovement), movements)
