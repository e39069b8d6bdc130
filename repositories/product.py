"""Queries on products and on the ledger of their stock."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Insert,
    Numeric,
    String,
    bindparam,
    case,
    cast,
    func,
    insert,
    literal,
    literal_column,
    select,
)

from models import Product, StockMovement
from models.stock_movement import StockReason
from repositories.base import BaseRepository
from repositories.filters import by_value
from repositories.lists import Ranking, form_of, same

# A regular expression for the words asked for, one after the other, as pg_trgm knows words: letters and digits count.
_TRIMMED = func.regexp_replace(bindparam("q"), "^[^[:alnum:]]+|[^[:alnum:]]+$", "", "g")
_THESE_WORDS = literal("(^|[^[:alnum:]])").concat(
    func.regexp_replace(_TRIMMED, "[^[:alnum:]]+", "[^[:alnum:]]+", "g").concat("($|[^[:alnum:]])")
)
_HAS_THESE_WORDS = Product.name.regexp_match(_THESE_WORDS, flags="i")


def _cents() -> ColumnElement[int]:
    """The price in cents, as the index of ranges has it."""
    return cast(Product.price * literal_column("100"), BigInteger)


def _cents_asked(bound: str, rounded: Callable[[ColumnElement[Any]], ColumnElement[Any]]) -> ColumnElement[int]:
    """The parameter `bound` in whole cents, `rounded` inwards. One below or above all prices stays so."""
    within = func.least(func.greatest(bindparam(bound, type_=Numeric), literal_column("0")), literal_column("1e10"))
    return cast(rounded(within * literal_column("100")), BigInteger)


class ProductRepository(BaseRepository[Product]):
    model = Product
    forms = {"sku": form_of(Product.sku)}
    filters = {
        "sku": same(Product.sku, "sku"),
        **by_value(category_id=Product.category_id),
        "min_price": Product.price >= bindparam("min_price"),
        "max_price": Product.price <= bindparam("max_price"),
        "in_stock": Product.in_stock == bindparam("in_stock"),
        "active": Product.active == bindparam("active"),
        # Words of the name that resemble those asked for (pg_trgm); the trigram index serves it.
        "q": Product.name.bool_op("%>")(bindparam("q")),
    }
    ranges = {
        "min_price": _cents() >= _cents_asked("min_price", func.ceil),
        "max_price": _cents() <= _cents_asked("max_price", func.floor),
    }
    rankings = {
        "q": Ranking(
            # Other words, or the same in another order, may have all trigrams of those asked for. They come second.
            likeness=case((_HAS_THESE_WORDS, 2), else_=func.word_similarity(bindparam("q"), Product.name)),
            perfect=_HAS_THESE_WORDS,
            close=Product.id_key.in_(select(func.similar_products(bindparam("q")))),
        )
    }

    @classmethod
    def written_along(cls, added: CTE) -> Sequence[Insert]:
        """The first entry of the ledger about each new product that is there from the start."""
        reason = literal_column(f"'{StockReason.INITIAL.value}'", String)
        there = select(added.c.id_key, added.c.stock, reason).where(added.c.stock != literal_column("0"))
        return [insert(StockMovement).from_select(["product_id", "delta", "reason"], there)]


class StockMovementRepository(BaseRepository[Any]):
    model = StockMovement
    filters = by_value(product_id=StockMovement.product_id, reason=StockMovement.reason)

    def record(self, movements: Sequence[dict[str, Any]]) -> None:
        """Write entries of the ledger, each with `product_id`, `delta`, `reason` and `order_detail_id`."""
        if movements:
            self.session.execute(insert(StockMovement), movements)
