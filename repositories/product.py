"""Queries on products and on the ledger of their stock."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import (
    ARRAY,
    CTE,
    BigInteger,
    ColumnElement,
    Insert,
    Numeric,
    SmallInteger,
    String,
    and_,
    bindparam,
    cast,
    exists,
    func,
    insert,
    literal_column,
    select,
)

from models import Product, StockMovement
from models.product import STOCK_STEPS
from models.stock_movement import StockReason
from repositories import product_search
from repositories.base import BaseRepository
from repositories.event_writing import Told
from repositories.query.filters import by_value, same
from schemas.product import ProductRead


def _cents() -> ColumnElement[int]:
    """The price in cents, in the form of the index for ranges."""
    return cast(Product.price * literal_column("100"), BigInteger)


def _cents_asked(bound: str, rounded: Callable[[ColumnElement[Any]], ColumnElement[Any]]) -> ColumnElement[int]:
    """The parameter `bound` in whole cents, `rounded` inwards. A bound below or above all prices stays so."""
    within = func.least(func.greatest(bindparam(bound, type_=Numeric), literal_column("0")), literal_column("1e10"))
    return cast(rounded(within * literal_column("100")), BigInteger)


def _step_of(stock: ColumnElement[int]) -> ColumnElement[int]:
    return cast(func.width_bucket(stock, literal_column(STOCK_STEPS)), SmallInteger)


class ProductRepository(BaseRepository[Product]):
    model = Product
    told = Told(Product, ProductRead, "product")
    public = Product.active.is_(True)
    filters = {
        "sku": same(Product.sku, "sku"),
        **by_value(category_id=Product.category_id),
        "min_price": Product.price >= bindparam("min_price"),
        "max_price": Product.price <= bindparam("max_price"),
        "in_stock": Product.in_stock == bindparam("in_stock"),
        "low_stock": Product.low_stock == bindparam("low_stock"),
        "stock_below": and_(
            Product.stock < bindparam("stock_below", type_=BigInteger),
            Product.stock_step <= _step_of(bindparam("stock_below", type_=BigInteger) - literal_column("1")),
        ),
        "active": Product.active == bindparam("active"),
        "q": product_search.found,
    }
    ranges = {
        "min_price": _cents() >= _cents_asked("min_price", func.ceil),
        "max_price": _cents() <= _cents_asked("max_price", func.floor),
    }
    rankings = {"q": product_search.ranking}
    steps = {"stock": Product.stock_step}

    @classmethod
    def written_along(cls, added: CTE) -> Sequence[Insert]:
        """The first entry of the ledger for each new product with stock."""
        reason = literal_column(f"'{StockReason.INITIAL.value}'", String)
        there = select(added.c.id_key, added.c.stock, reason).where(added.c.stock != literal_column("0"))
        return [insert(StockMovement).from_select(["product_id", "delta", "reason"], there)]


class StockMovementRepository(BaseRepository[Any]):
    model = StockMovement
    filters = by_value(product_id=StockMovement.product_id, reason=StockMovement.reason)

    def sold(self, product_ids: Sequence[int]) -> set[int]:
        """Those of the products that have a sale in their ledger."""
        key = func.unnest(bindparam("keys", type_=ARRAY(BigInteger))).column_valued("key")
        of_product = (StockMovement.product_id == key) & (StockMovement.reason == StockReason.SALE.value)
        found = select(key).where(exists().where(of_product))
        return set(self.session.scalars(found, {"keys": list(product_ids)})) if product_ids else set()

    def record(self, movements: Sequence[dict[str, Any]]) -> None:
        """Write entries of the ledger, each with `product_id`, `delta`, `reason` and `order_detail_id`."""
        if movements:
            self.session.execute(insert(StockMovement), movements)
