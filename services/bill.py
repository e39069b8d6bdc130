"""Rules of bills: numbers without gaps, and totals that follow the order."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Session

from models import Bill, Order
from models.bill import BillKind, is_server_number
from models.order import OrderStatus
from repositories.bill import BillRepository
from repositories.order import OrderRepository
from repositories.order_detail import OrderDetailRepository
from security.principal import EVERYBODY, Principal
from services.base import BaseService
from services.client import ClientService
from services.declared_errors import refuses
from services.errors import Conflict, InvalidField, TotalMismatch
from services.event_writing import tell_of_orders

ZERO = Decimal("0.00")
_CLIENT_NUMBER = "INV-2026-17"


class BillService(BaseService[Bill]):
    thing, resource = "Bill", "bills"
    repository_type = BillRepository
    references = {"client_id": ClientService}

    def __init__(self, session: Session, principal: Principal = EVERYBODY) -> None:
        super().__init__(session, principal)
        self._order: Order | None = None

    def lock(self, row_id: int) -> Bill:
        """The bill, locked after its order, whose state decides what may change: the hooks find it in `_order`."""
        self._order = OrderRepository(self.session).lock_of_bill(row_id)
        return super().lock(row_id)

    def before_create(self, values: dict[str, Any]) -> None:
        number = values.get("bill_number")
        if number is None:
            # What can fail is checked before: transactions wait for each other at the counter.
            self._lock_references(values)
            values["bill_number"] = BillRepository(self.session).next_number(BillKind.SALE)
        else:
            require_client_number(number)

    @refuses(Conflict, TotalMismatch)
    def before_update(self, row: Bill, changes: dict[str, Any]) -> None:
        # An order may have taken the bill before it was locked; from then on, its details wait for the bill.
        order = self._order = self._order or OrderRepository(self.session).lock_of_bill(row.id_key)
        self._require_changeable(row, order)
        if "bill_number" in changes:
            if is_server_number(row.bill_number):
                raise Conflict(f"The number of bill {row.id_key} was given by the server and stays")
            require_client_number(changes["bill_number"])
        if order is not None and OrderDetailRepository(self.session).exist(order.id_key):
            total = amount_to_pay(order.total, changes.get("discount", row.discount))
            if changes.get("total", total) != total:
                raise TotalMismatch(total, changes["total"])
            changes["total"] = total

    def tell_change(self, row: Any, old: Mapping[str, Any]) -> None:
        """To change the bill of an order is to change the order."""
        if self._order is not None:
            tell_of_orders(self.session, [self._order.id_key])

    @refuses(Conflict)
    def before_delete(self, row: Bill) -> None:
        if is_server_number(row.bill_number):
            raise Conflict(f"Bill {row.id_key} was numbered by the server and cannot be deleted")

    def book(self, bill: Bill, amount: Decimal) -> None:
        """Add a payment to what is paid of the locked bill. To pay the bill of an order is to change the order."""
        self.apply(bill, {"paid": bill.paid + amount})
        self.tell_change(bill, {})

    def follow(self, order: Order) -> None:
        """Set the total of the order's bill by that of the order. Lock the order and its products first."""
        bill = super().lock(order.bill_id)
        total = amount_to_pay(order.total, bill.discount)
        if bill.total != total:
            self.apply(bill, {"total": total})

    def settle_at_zero(self, order: Order) -> None:
        """Leave nothing to pay on the bill of an order that is being deleted."""
        bill = super().lock(order.bill_id)
        if bill.total != ZERO:
            self.apply(bill, {"total": ZERO})

    def _require_changeable(self, row: Bill, order: Order | None) -> None:
        if row.kind == BillKind.CREDIT:
            raise Conflict(f"Bill {row.id_key} is a credit bill and does not change")
        if order is not None and not order.is_open:
            status = OrderStatus(order.status).name
            raise Conflict(f"Bill {row.id_key} belongs to a {status} order and does not change")


def amount_to_pay(total: Decimal, discount: Decimal) -> Decimal:
    """What is left to pay of `total`; never below zero."""
    return max(ZERO, total - discount)


def require_client_number(number: str) -> None:
    """Raise `InvalidField` for a number of the form that the server alone gives."""
    if is_server_number(number):
        raise InvalidField(
            ("body", "bill_number"),
            f"numbers of this form are given by the server alone: leave it out, or send another form such as {_CLIENT_NUMBER}",
        )
