"""Rules of order details: exact stock, the shop's prices, and totals that follow every change."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Session

from models import Order, OrderDetail, Product
from models.order import OrderStatus
from models.stock_movement import StockReason
from repositories.order import OrderRepository
from repositories.order_detail import OrderDetailRepository
from repositories.shipment import ShipmentRepository
from schemas.field_types import MAX_MONEY
from security.principal import EVERYBODY, Principal
from services.base import BaseService
from services.bill import ZERO, BillService
from services.books_errors import DocumentFixed, RefundExceedsPayment
from services.declared_errors import refuses
from services.errors import (
    AmountTooLarge,
    Conflict,
    InsufficientStock,
    NotFound,
    PriceMismatch,
    ProductNotAvailable,
)
from services.event_writing import tell_of_orders
from services.payment_errors import PaymentExceedsTotal
from services.product import ProductService, require_active, require_price, sale_price
from services.taxes import TaxService, refresh_if

_CHANGES = (
    NotFound,
    Conflict,
    DocumentFixed,
    RefundExceedsPayment,
    PaymentExceedsTotal,
    ProductNotAvailable,
    PriceMismatch,
    InsufficientStock,
    AmountTooLarge,
)


class OrderDetailService(BaseService[OrderDetail]):
    """Locks the order, then its products by id, then its bill, each once; every service does so, against deadlocks."""

    thing, resource = "OrderDetail", "order_details"
    repository_type = OrderDetailRepository

    def __init__(self, session: Session, principal: Principal = EVERYBODY) -> None:
        super().__init__(session, principal)
        self.orders = OrderRepository(session)
        self.products = ProductService(session)
        self.taxes = TaxService(session)
        self._order: Order | None = None

    def lock(self, row_id: int) -> OrderDetail:
        """The detail, locked after its order, which the hooks find in `_order`."""
        found = self.row_query(row_id, ("order_id",), self.owned_by(self.principal))(self.session)
        self._order = self.orders.lock(found.order_id)
        return super().lock(row_id)

    # -- create ------------------------------------------------------------------------------------

    @refuses(*_CHANGES)
    def create(self, values: dict[str, Any]) -> Any:
        order = self._require_open(self.orders.lock(values["order_id"]), values["order_id"])
        product = self.products.lock_all([values["product_id"]])[values["product_id"]]
        values["price"] = sale_price(product, values.get("price"))
        values |= _sold_as(product) | self.taxes.sold_at(order, product)
        first = not OrderDetailRepository(self.session).exist(order.id_key)
        total = _sum((ZERO if first else order.total), values["quantity"] * values["price"])
        row = super().create(values)
        self.products.move_stock(product, -row.quantity, StockReason.SALE, row.id_key)
        self._set_total(order, total)
        if row.id_key in self.taxes.settle(order).lines:
            row = self.row_query(row.id_key, tuple(row._fields))(self.session)
        tell_of_orders(self.session, [order.id_key])
        return row

    # -- change ------------------------------------------------------------------------------------

    @refuses(*_CHANGES)
    def before_update(self, row: OrderDetail, changes: dict[str, Any]) -> None:
        order = self._require_open(self._order, row.order_id)
        if "order_id" in changes:
            raise Conflict(f"The order_id of order detail {row.id_key} is fixed")
        _require_not_returned(row)
        target = changes.get("product_id", row.product_id)
        locked_products = self.products.lock_all({row.product_id, target})
        quantity = changes.get("quantity", row.quantity)
        self._require_unshipped(order, row, target, quantity)
        if target != row.product_id:
            changes["price"] = sale_price(locked_products[target], changes.get("price"))
            changes |= _sold_as(locked_products[target]) | self.taxes.sold_at(order, locked_products[target])
        elif "price" in changes:
            require_price(locked_products[target], changes["price"])
        price = changes.get("price", row.price)
        total = _sum(order.total - row.quantity * row.price, quantity * price)
        self._move(row, locked_products, target, quantity)
        self._set_total(order, total)

    def _move(self, row: OrderDetail, locked_products: dict[int, Product], target: int, quantity: int) -> None:
        """Move the stock as the change of product and quantity asks for."""
        if target != row.product_id:
            require_active(locked_products[target])
            self.products.move_stock(locked_products[target], -quantity, StockReason.SALE, row.id_key)
            self.products.move_stock(locked_products[row.product_id], row.quantity, StockReason.CANCEL, row.id_key)
            return
        more = quantity - row.quantity
        if more > 0:
            require_active(locked_products[target])
        reason = StockReason.SALE if more > 0 else StockReason.CANCEL
        self.products.move_stock(locked_products[target], -more, reason, row.id_key)

    def after_update(self, row: OrderDetail) -> None:
        order = self._require_open(self._order, row.order_id)
        refresh_if(self.session, row, self.taxes.settle(order))

    # -- delete ------------------------------------------------------------------------------------

    @refuses(Conflict, DocumentFixed, RefundExceedsPayment, PaymentExceedsTotal, AmountTooLarge)
    def before_delete(self, row: OrderDetail) -> None:
        self._require_open(self._order, row.order_id)
        _require_not_returned(row)
        locked_products = self.products.lock_all([row.product_id])
        self.products.move_stock(locked_products[row.product_id], row.quantity, StockReason.CANCEL, row.id_key)

    def after_delete(self, row: OrderDetail) -> None:
        order = self._require_open(self._order, row.order_id)
        left = OrderDetailRepository(self.session).exist(order.id_key)
        self._set_total(order, order.total - row.quantity * row.price if left else ZERO, has_lines=left)
        self.taxes.settle(order)
        tell_of_orders(self.session, [order.id_key])

    def _require_unshipped(self, order: Order, row: OrderDetail, product_id: int, quantity: int) -> None:
        """Raise `Conflict` where more than `quantity` pieces of the product have left already."""
        if order.status == OrderStatus.PENDING:
            return
        shipped = ShipmentRepository(self.session).shipped_of(order.id_key).get(row.id_key, 0)
        if shipped > (quantity if product_id == row.product_id else 0):
            raise Conflict(f"Of order detail {row.id_key} {shipped} are shipped")

    # -- the order around it -----------------------------------------------------------------------

    def _require_open(self, order: Order | None, order_id: int) -> Order:
        """The locked order, whose details may change. Raises `NotFound`, `DocumentFixed`, `Conflict`."""
        if order is None:
            raise NotFound("Order", order_id)
        BillService(self.session).require_not_fixed(order)
        if not order.is_open:
            raise Conflict(f"Order {order_id} is {OrderStatus(order.status).name}: its details do not change")
        return order

    def tell_change(self, row: Any, old: Mapping[str, Any]) -> None:
        """To change a detail is to change its order."""
        tell_of_orders(self.session, [row.order_id])

    def _set_total(self, order: Order, total: Decimal, *, has_lines: bool = True) -> None:
        order.total = total
        self.session.flush()
        BillService(self.session).follow(order, has_lines=has_lines)


def _sold_as(product: Product) -> dict[str, Any]:
    """What a line keeps of its product."""
    return {"name": product.name, "sku": product.sku}


def _require_not_returned(row: OrderDetail) -> None:
    if row.returned_quantity:
        raise Conflict(f"Order detail {row.id_key} has returns and does not change")


def _sum(left: Decimal, right: Decimal) -> Decimal:
    total = left + right
    if total > MAX_MONEY:
        raise AmountTooLarge
    return total
