"""Rules of bills: numbers without gaps, totals that follow the order, documents that stay, and what answers them."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Session

from models import Bill, Order
from models.bill import BillKind, CreditReason, is_server_number
from models.order import OrderStatus
from repositories.bill import BillRepository
from repositories.order import OrderRepository
from repositories.order_detail import OrderDetailRepository
from repositories.taxes import Taxes
from security.principal import EVERYBODY, Principal
from services.base import BaseService
from services.bill_line import BillLineService
from services.books_errors import ClientMismatch, DocumentFixed, RefundExceedsPayment
from services.client import ClientService
from services.declared_errors import refuses
from services.errors import Conflict, InvalidField, TotalMismatch
from services.event_writing import tell_of_orders
from services.identity.audit import old_and_new, record_one
from services.integrity import violations_of
from services.payment_errors import PaymentExceedsTotal
from services.taxes import TaxService, tax_of

ZERO = Decimal("0.00")
_CLIENT_NUMBER = "INV-2026-17"
# What never changes of a document once its order has left PENDING.
_FIXED = {"bill_number", "client_id", "date", "total", "discount", "payment_type"}


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

    @refuses(Conflict, ClientMismatch, DocumentFixed, RefundExceedsPayment, PaymentExceedsTotal, TotalMismatch)
    def before_update(self, row: Bill, changes: dict[str, Any]) -> None:
        # An order may have taken the bill before it was locked; from then on, its details wait for the bill.
        order = self._order = self._order or OrderRepository(self.session).lock_of_bill(row.id_key)
        self._require_changeable(row, order, changes)
        if "client_id" in changes and (row.refunded or (order is not None and order.client_id != changes["client_id"])):
            raise ClientMismatch(row.id_key)
        if "bill_number" in changes:
            if is_server_number(row.bill_number):
                raise Conflict(f"The number of bill {row.id_key} was given by the server and stays")
            require_client_number(changes["bill_number"])
        if order is not None and OrderDetailRepository(self.session).exist(order.id_key):
            charged = _charged(order, changes.get("discount", row.discount), has_lines=True)
            if changes.get("total", charged["total"]) != charged["total"]:
                raise TotalMismatch(charged["total"], changes["total"])
            changes |= charged
        _require_settled(row, changes.get("total", row.total))

    def after_update(self, row: Bill) -> None:
        if self._order is not None:
            TaxService(self.session).settle(self._order)

    def tell_change(self, row: Any, old: Mapping[str, Any]) -> None:
        """To change the bill of an order is to change the order."""
        if self._order is not None:
            tell_of_orders(self.session, [self._order.id_key])

    @refuses(Conflict, DocumentFixed)
    def before_delete(self, row: Bill) -> None:
        if is_fixed(row, self._order):
            raise DocumentFixed(row.id_key)
        if is_server_number(row.bill_number):
            raise Conflict(f"Bill {row.id_key} was numbered by the server and cannot be deleted")

    def book(self, bill: Bill, amount: Decimal) -> None:
        """Add a payment to what is paid of the locked bill. To pay the bill of an order is to change the order."""
        self.apply(bill, {"paid": bill.paid + amount})
        self.tell_change(bill, {})

    # -- the bill of an order, which is locked -----------------------------------------------------

    def be_taken(self, bill_id: int, client_id: int) -> None:
        """Let an order of the client have this bill, if there is one; one without a client becomes the client's."""
        bill = self.repository.lock(bill_id)
        if bill is None:
            return
        if bill.kind == BillKind.CREDIT:
            raise Conflict(f"Bill {bill_id} is a credit bill and settles no order")
        if bill.order_deleted:
            raise DocumentFixed(bill_id)
        if bill.client_id is None:
            audited = old_and_new(self.session, bill, {"client_id": client_id})
            self.apply(bill, {"client_id": client_id})
            record_one(self.session, bill, audited)
        elif bill.client_id != client_id:
            raise ClientMismatch(bill_id)

    @refuses(DocumentFixed)
    def require_not_fixed(self, order: Order) -> None:
        """Raise `DocumentFixed` if the order's bill is a document that does not change any more."""
        if order.status == OrderStatus.PENDING:
            return
        bill = self.session.get(Bill, order.bill_id)
        if bill is not None and is_fixed(bill, order):
            raise DocumentFixed(bill.id_key)

    @refuses(RefundExceedsPayment, PaymentExceedsTotal)
    def follow(self, order: Order, *, has_lines: bool) -> None:
        """Set what the order's bill comes to by the order. Lock the order's products first."""
        bill = super().lock(order.bill_id)
        charged = _charged(order, bill.discount, has_lines=has_lines)
        if charged != {name: getattr(bill, name) for name in charged}:
            _require_settled(bill, charged["total"])
            self.apply(bill, charged)

    def answer_cancellation(self, order: Order) -> Any | None:
        """Give back what is left of the bill of the order, which was canceled: the credit bill, None if nothing was left."""
        return self._credit_rest(order, super().lock(order.bill_id), CreditReason.CANCELED)

    @refuses(PaymentExceedsTotal)
    def answer_deletion(self, order: Order) -> None:
        """Give back what is left of a document whose order was deleted; leave nothing to pay on any other bill."""
        bill = super().lock(order.bill_id)
        is_kept = is_document(bill, order)
        if is_kept or bill.refunded:
            BillLineService(self.session).keep(bill.id_key)
            country = None if order.ship_to is None else order.ship_to["country"]
            self.apply(bill, {"order_deleted": is_kept, "ship_to_country": country})
        if is_kept:
            is_canceled = order.status == OrderStatus.CANCELED
            self._credit_rest(order, bill, CreditReason.CANCELED if is_canceled else CreditReason.DELETED)
        elif bill.total != ZERO and not bill.refunded:
            _require_settled(bill, ZERO)
            self.apply(bill, {"total": ZERO})

    def credit(
        self, order: Order, sale: Bill, amount: Decimal, taxes: Taxes, reason: CreditReason, shipping: Decimal = ZERO
    ) -> Any:
        """All columns of the new credit bill over `amount` of the locked bill, with its taxes and so much of its shipping in it.

        It takes the counter: call it last.
        """
        values = {
            "total": amount,
            "shipping": shipping,
            "payment_type": sale.payment_type,
            "client_id": order.client_id,
            "kind": BillKind.CREDIT.value,
            "refunds_bill_id": sale.id_key,
            "reason": reason.value,
            "tax": tax_of(taxes),
            "taxes": taxes,
            "bill_number": BillRepository(self.session).next_number(BillKind.CREDIT),
        }
        with violations_of(values):
            return self.repository.add(values)

    def _credit_rest(self, order: Order, sale: Bill, reason: CreditReason) -> Any | None:
        rest = sale.total - sale.refunded
        if rest <= ZERO:
            return None
        taxes = TaxService(self.session).of_rest(sale)
        # An order of which something came back is neither canceled nor deleted: no shipping was given back yet.
        return self.credit(order, sale, rest, taxes, reason, min(sale.shipping, rest))

    def _require_changeable(self, row: Bill, order: Order | None, changes: Mapping[str, Any]) -> None:
        if is_fixed(row, order) and _FIXED & changes.keys():
            raise DocumentFixed(row.id_key)
        if row.kind == BillKind.CREDIT:
            raise Conflict(f"Bill {row.id_key} is a credit bill and does not change")
        if row.order_deleted:
            raise Conflict(f"Bill {row.id_key} belonged to an order that was deleted, and does not change")
        if order is not None and not order.is_open:
            status = OrderStatus(order.status).name
            raise Conflict(f"Bill {row.id_key} belongs to a {status} order and does not change")


def is_document(bill: Bill, order: Order | None) -> bool:
    """Whether the server numbered the bill, or a checkout made it: that makes bill and order in one transaction.

    `order` is the one that it settles, if there is one.
    """
    return is_server_number(bill.bill_number) or (order is not None and order.created_at == bill.created_at)


def is_fixed(bill: Bill, order: Order | None) -> bool:
    """Whether it is a document whose number, client, date, lines and totals do not change any more, and which stays."""
    if bill.kind == BillKind.CREDIT or bill.order_deleted:
        return True
    return order is not None and order.status != OrderStatus.PENDING and is_document(bill, order)


def amount_to_pay(total: Decimal, discount: Decimal) -> Decimal:
    """What is left to pay of the goods; never below zero."""
    return max(ZERO, total - discount)


def _charged(order: Order, discount: Decimal, *, has_lines: bool) -> dict[str, Decimal]:
    """What the bill of the order says of it. Without lines there is nothing to deliver."""
    goods = amount_to_pay(order.total, discount)
    shipping = order.shipping_of(goods) if has_lines else ZERO
    return {"shipping": shipping, "total": goods + shipping}


def _require_settled(bill: Bill, total: Decimal) -> None:
    """Raise for a lower total of the locked bill than was given back or paid of it: money goes back by credit bills alone."""
    if total < min(bill.refunded, bill.total):
        raise RefundExceedsPayment(bill.id_key, total, bill.refunded)
    if total < min(bill.paid, bill.total):
        raise PaymentExceedsTotal(bill.id_key, total, bill.paid)


def require_client_number(number: str) -> None:
    """Raise `InvalidField` for a number of the form that the server alone gives."""
    if is_server_number(number):
        raise InvalidField(
            ("body", "bill_number"),
            f"numbers of this form are given by the server alone: leave it out, or send another form such as {_CLIENT_NUMBER}",
        )
