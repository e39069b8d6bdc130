"""Rules of products: what may be sold, and how its stock moves."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Session

from models import OrderDetail, Product
from models.stock_movement import StockReason
from repositories.event_writing import Happening
from repositories.price_change import PriceChangeRepository
from repositories.product import ProductRepository, StockMovementRepository
from repositories.query.filters import EVERY_ROW, Visible
from repositories.review import ReviewRepository
from schemas.base import ListQuery, Page
from schemas.field_types import MAX_STOCK
from security.principal import EVERYBODY, Principal
from services.base import Caching, require_sortable
from services.bulk import BulkService, Change
from services.category import CategoryService
from services.declared_errors import refuses
from services.errors import (
    AmountTooLarge,
    InsufficientStock,
    NotFound,
    PriceMismatch,
    ProductHasSales,
    ProductNotAvailable,
)
from services.event_writing import tell_of_reviews
from services.identity.audit import record_one
from services.tax_class import TaxClassService


class ProductService(BulkService[Product]):
    thing, resource = "Product", "products"
    repository_type = ProductRepository
    defaults = {"stock": 0, "active": True}
    references = {"category_id": CategoryService, "tax_class_id": TaxClassService}
    caching = Caching()
    ledger_type = StockMovementRepository
    history_type = PriceChangeRepository

    def __init__(self, session: Session, principal: Principal = EVERYBODY) -> None:
        super().__init__(session, principal)
        self.movements = self.ledger_type(session)

    @classmethod
    def happenings(cls, row: Product, old: Mapping[str, Any]) -> Iterable[Happening]:
        """A new price is an event of its own, and the only one where nothing else has changed."""
        if old.keys() - {"price"}:
            yield from super().happenings(row, old)
        if "price" in old:
            prices = {"old_price": old["price"], "new_price": row.price}
            yield Happening("product.price_changed", row.id_key, prices)

    def before_update(self, row: Product, changes: dict[str, Any]) -> None:
        self._record_edits([(row, changes)])

    def before_updates(self, changes: Sequence[Change[Product]]) -> None:
        self._record_edits([(change.row, change.values) for change in changes])

    @refuses(ProductHasSales)
    def before_delete(self, row: Product) -> None:
        if self._sold([row]):
            raise ProductHasSales(row.id_key)
        self._tell_of_reviews([row])

    def before_deletes(self, rows: Sequence[Product]) -> None:
        sold = self._sold(rows)
        for place, row in enumerate(rows):
            if row.id_key in sold:
                raise ProductHasSales(row.id_key).at(place, "id_key")
        self._tell_of_reviews(rows)

    def lock_all(self, product_ids: Iterable[int]) -> dict[int, Product]:
        """The products by id, locked in the order of their ids. Raises `NotFound` for the first that is missing."""
        wanted = list(product_ids)
        products = self.repository.lock_many(wanted)
        for product_id in wanted:
            if product_id not in products:
                raise NotFound(self.thing, product_id)
        return products

    def move_stock(self, product: Product, delta: int, reason: StockReason, order_detail_id: int | None = None) -> None:
        """Add `delta` to a locked product's stock, with an entry in the ledger.

        Raises `InsufficientStock` when a negative `delta` takes more than there is.
        """
        if delta == 0:
            return
        if product.stock + delta < 0:
            raise InsufficientStock(product.id_key, -delta, product.stock)
        if product.stock + delta > MAX_STOCK:
            raise AmountTooLarge(f"The stock of product {product.id_key} would exceed {MAX_STOCK}")
        product.stock += delta
        self.session.flush()
        self.movements.record([_movement(product, delta, reason, order_detail_id)])
        self.has_changed(product)

    def take_back(self, product: Product, quantity: int, order_detail_id: int, *, restock: bool) -> None:
        """Add returned pieces to a locked product's stock, or write them off, which leaves it as it is."""
        if restock:
            self.move_stock(product, quantity, StockReason.RETURN, order_detail_id)
            return
        self.movements.record(
            [
                _movement(product, quantity, StockReason.RETURN, order_detail_id),
                _movement(product, -quantity, StockReason.WRITE_OFF, order_detail_id),
            ]
        )

    @refuses(NotFound, InsufficientStock, AmountTooLarge)
    def change_stock(self, product_id: int, delta: int, reason: StockReason) -> Product:
        """The product after a change of its stock by hand."""
        product = self.lock(product_id)
        before = product.stock
        self.move_stock(product, delta, reason)
        record_one(self.session, product, {"stock": (before, product.stock)})
        if delta:
            self.tell_change(product, {"stock": before})
        return product

    def ledger(self, product_id: int, query: ListQuery, fields: tuple[str, ...]) -> Page:
        """The entries of the product's ledger."""
        self.row_query(product_id, ("id_key",))(self.session)
        require_sortable(self.ledger_type, query, fields)
        return self.ledger_type.page_query(query, fields, product_id=product_id)(self.session)

    def price_history(
        self, product_id: int, query: ListQuery, fields: tuple[str, ...], visible: Visible = EVERY_ROW
    ) -> Page:
        """The prices of the product, if it is `visible`."""
        self.row_query(product_id, ("id_key",), visible)(self.session)
        require_sortable(self.history_type, query, fields)
        return self.history_type.page_query(query, fields, product_id=product_id)(self.session)

    def price_stats(self, product_id: int, days: int, visible: Visible = EVERY_ROW) -> Any:
        """The figures of the product's price by name, if it is `visible`: see `schemas.price.PriceStatsRead`."""
        self.row_query(product_id, ("id_key",), visible)(self.session)
        stats = self.history_type(self.session).stats(product_id, days)
        if stats is None:
            raise NotFound(self.thing, product_id)
        return stats

    def _sold(self, products: Sequence[Product]) -> set[int]:
        """The keys of those products that were ever sold: a detail of any order has them, or had them, as the ledger says."""
        keys = [product.id_key for product in products]
        in_details = self.repository.referred_to(OrderDetail.__table__.c.product_id, keys)
        return in_details | self.movements.sold([key for key in keys if key not in in_details])

    def _tell_of_reviews(self, products: Sequence[Product]) -> None:
        """Tell of the reviews that go with the products."""
        keys = [product.id_key for product in products]
        # From now on nobody reviews them.
        self.repository.lock_many(keys, to_delete=True)
        tell_of_reviews(self.session, "deleted", ReviewRepository(self.session).lock_of_products(keys))

    def _record_edits(self, edits: Sequence[tuple[Product, dict[str, Any]]]) -> None:
        self.movements.record(
            [
                _movement(row, changes["stock"] - row.stock, StockReason.EDIT)
                for row, changes in edits
                if "stock" in changes
            ]
        )


def _movement(product: Product, delta: int, reason: StockReason, order_detail_id: int | None = None) -> dict[str, Any]:
    return {
        "product_id": product.id_key,
        "delta": delta,
        "reason": reason.value,
        "order_detail_id": order_detail_id,
    }


def require_active(product: Product) -> None:
    """Raise `ProductNotAvailable` unless the product is on sale."""
    if not product.active:
        raise ProductNotAvailable(product.id_key)


def require_price(product: Product, price: Decimal) -> None:
    """Raise `PriceMismatch` unless `price` is what the product costs now."""
    if price != product.price:
        raise PriceMismatch(product.price, price)


def sale_price(product: Product, offered: Decimal | None) -> Decimal:
    """The price at which the product is sold now; `offered` must not be another one."""
    require_active(product)
    if offered is not None:
        require_price(product, offered)
    return product.price
