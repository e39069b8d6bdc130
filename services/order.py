"""Rules of orders: which status follows which, and what is fixed once they have details."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Session

from models import Order, OrderDetail
from models.order import OrderStatus
from models.stock_movement import StockReason
from repositories.address import SHIP_TO_FIELDS, AddressRepository
from repositories.event_writing import Happening
from repositories.order import OrderRepository
from repositories.order_detail import OrderDetailRepository
from schemas.bill import BillRead
from security.principal import EVERYBODY, Principal
from services.address import AddressService
from services.base import BaseService
from services.bill import BillService
from services.books_errors import ClientMismatch, DocumentFixed, OrderIsEmpty
from services.client import ClientService
from services.declared_errors import refuses
from services.errors import AmountTooLarge, Conflict, NotFound, RuleBroken, StatusConflict, TotalMismatch
from services.payment_errors import PaymentExceedsTotal
from services.product import ProductService
from services.shipping_rate import ShippingRateService
from services.taxes import TaxService

BILL_FIELDS = tuple(BillRead.model_fields)
_FIXED_WITH_DETAILS = ("client_id", "bill_id")
_FIXED_ON_ITS_WAY = (*_FIXED_WITH_DETAILS, "date", "delivery_method", "address_id")
_DECIDE_SHIPPING = ("delivery_method", "address_id")
# Where and when it is placed.
_DECIDE_TAXES = ("date", "ship_to")


class OrderService(BaseService[Order]):
    thing, resource = "Order", "orders"
    repository_type = OrderRepository
    references = {"client_id": ClientService, "bill_id": BillService}

    def __init__(self, session: Session, principal: Principal = EVERYBODY) -> None:
        super().__init__(session, principal)
        self.details = OrderDetailRepository(session)
        self._is_canceled = self._is_shipped_anew = self._is_taxed_anew = self._has_details = False

    @classmethod
    def happenings(cls, row: Order, old: Mapping[str, Any]) -> Iterable[Happening]:
        """A new status is an event of its own, and the only one where nothing else has changed."""
        if old.keys() - {"status"}:
            yield from super().happenings(row, old)
        if "status" in old and row.status == OrderStatus.CANCELED:
            yield Happening("order.canceled", row.id_key)
        elif "status" in old:
            statuses = {"old_status": old["status"], "new_status": row.status}
            yield Happening("order.status_changed", row.id_key, statuses)

    @refuses(Conflict, NotFound, RuleBroken, ClientMismatch, DocumentFixed)
    def before_create(self, values: dict[str, Any]) -> None:
        if values.get("status", OrderStatus.PENDING) != OrderStatus.PENDING:
            raise Conflict("An order starts as PENDING")
        values["ship_to"] = self._ship_to(values.get("address_id"), values["client_id"])
        self._lock_references(values)
        BillService(self.session).be_taken(values["bill_id"], values["client_id"])

    @refuses(
        Conflict,
        NotFound,
        RuleBroken,
        ClientMismatch,
        DocumentFixed,
        OrderIsEmpty,
        StatusConflict,
        TotalMismatch,
        AmountTooLarge,
    )
    def before_update(self, row: Order, changes: dict[str, Any]) -> None:
        has_details = self._has_details = self.details.exist(row.id_key)
        _require_fixed(row, changes, has_details=has_details)
        client_id = changes.get("client_id", row.client_id)
        if "address_id" in changes or "client_id" in changes:
            ship_to = self._ship_to(changes.get("address_id", row.address_id), client_id)
            if "address_id" in changes:
                changes["ship_to"] = ship_to
        if row.shipping_price is not None and not changes.keys().isdisjoint(_DECIDE_SHIPPING):
            ship_to = changes.get("ship_to", row.ship_to)
            changes |= ShippingRateService(self.session).kept(
                changes.get("delivery_method", row.delivery_method), ship_to
            )
            self._is_shipped_anew = True
        self._is_taxed_anew = not changes.keys().isdisjoint(_DECIDE_TAXES)
        if "bill_id" in changes or "client_id" in changes:
            self._lock_references(changes)
            BillService(self.session).be_taken(changes.get("bill_id", row.bill_id), client_id)
        if "status" in changes:
            self._leave_for(row, OrderStatus(changes["status"]), has_details=has_details)

    @refuses(PaymentExceedsTotal)
    def after_update(self, row: Order) -> None:
        bills = BillService(self.session)
        if self._is_shipped_anew:
            bills.follow(row, has_lines=self._has_details)
        if self._is_taxed_anew:
            TaxService(self.session).freeze(row)
        elif self._is_shipped_anew:
            TaxService(self.session).settle(row)
        if self._is_canceled:
            bills.answer_cancellation(row)
        if self._is_shipped_anew or self._is_canceled:
            # Its bill, or the credit bill, has changed its figures.
            self.session.refresh(row)

    @refuses(Conflict, AmountTooLarge, PaymentExceedsTotal)
    def before_delete(self, row: Order) -> None:
        if row.status == OrderStatus.DELIVERED:
            raise Conflict(f"Order {row.id_key} is DELIVERED and cannot be deleted")
        details = self.details.of_order(row.id_key)
        _require_no_returns(row, details)
        # The foreign key deletes the details with their order.
        if row.is_open:
            self._give_back(details)
        BillService(self.session).answer_deletion(row)

    def move_to(self, order_id: int, status: OrderStatus) -> Order:
        """The order in its new status; the status that it has is no change. Raises `StatusConflict`."""
        return self.update(order_id, {"status": int(status)})

    @refuses(NotFound, OrderIsEmpty, StatusConflict)
    def advance(self, order_id: int) -> Order:
        """The order in its next status. Raises `StatusConflict` if there is none."""
        order = self.lock(order_id)
        current = OrderStatus(order.status)
        if current.next is None:
            wanted = OrderStatus.IN_PROGRESS if current is OrderStatus.CANCELED else OrderStatus.DELIVERED
            raise StatusConflict(order_id, current.name, wanted.name)
        return self.update_locked(order, {"status": int(current.next)})

    @refuses(NotFound, Conflict, StatusConflict, AmountTooLarge)
    def cancel(self, order_id: int) -> Order:
        """The order, CANCELED, with its goods back in stock."""
        return self.move_to(order_id, OrderStatus.CANCELED)

    # -- the parts ---------------------------------------------------------------------------------

    def _ship_to(self, address_id: int | None, client_id: int) -> dict[str, Any] | None:
        """What an order of the client keeps of the address, which must be the client's."""
        if address_id is None:
            return None
        AddressService(self.session, self.principal).hold(address_id)
        address = AddressRepository.row_query(address_id, ("client_id", *SHIP_TO_FIELDS))(self.session)
        # Held, so that it is there.
        if address is None or address.client_id != client_id:
            raise RuleBroken(f"Address {address_id} is not one of client {client_id}")
        return {name: getattr(address, name) for name in SHIP_TO_FIELDS}

    def _leave_for(self, row: Order, status: OrderStatus, *, has_details: bool) -> None:
        current = OrderStatus(row.status)
        # What is being packed already is stopped by staff only.
        is_late = self.principal.is_customer and current is not OrderStatus.PENDING
        if is_late or not current.can_change_to(status):
            raise StatusConflict(row.id_key, current.name, status.name)
        if status is not OrderStatus.CANCELED and not has_details:
            raise OrderIsEmpty(row.id_key)
        if status is OrderStatus.CANCELED:
            details = self.details.of_order(row.id_key)
            _require_no_returns(row, details)
            self._give_back(details)
            self._is_canceled = True

    def _give_back(self, details: Sequence[OrderDetail]) -> None:
        products = ProductService(self.session)
        locked_products = products.lock_all({detail.product_id for detail in details})
        for detail in details:
            products.move_stock(locked_products[detail.product_id], detail.quantity, StockReason.CANCEL, detail.id_key)


def _require_fixed(row: Order, changes: Mapping[str, Any], *, has_details: bool) -> None:
    """Refuse what is fixed while the order has details, and what is fixed once it is on its way."""
    status = OrderStatus(row.status)
    fixed = _FIXED_WITH_DETAILS if has_details else ()
    for field in fixed if status is OrderStatus.PENDING else _FIXED_ON_ITS_WAY:
        if field in changes:
            why = "has details" if status is OrderStatus.PENDING else f"is {status.name}"
            raise Conflict(f"The {field} of order {row.id_key} is fixed: the order {why}")
    if has_details and "total" in changes:
        raise TotalMismatch(row.total, changes["total"])


def _require_no_returns(row: Order, details: Sequence[OrderDetail]) -> None:
    if any(detail.returned_quantity for detail in details):
        raise Conflict(f"Order {row.id_key} has returns and can be neither canceled nor deleted")
