"""Rules of payments: never more than is open of a bill, and never more given back than has come in."""

from typing import Any

from models import Payment
from repositories.payment import PaymentRepository
from services.base import BaseService
from services.bill import ZERO, BillService
from services.declared_errors import refuses
from services.errors import NotFound
from services.payment_errors import PaymentExceedsOpen


class PaymentService(BaseService[Payment]):
    """Locks the order, then its bill, then the credit bill, as every service does: of payments that come at once each
    sees what the one before has left."""

    thing, resource = "Payment", "payments"
    repository_type = PaymentRepository

    @refuses(NotFound, PaymentExceedsOpen)
    def pay(self, bill_id: int, values: dict[str, Any]) -> Any:
        """All columns of the new payment of the bill."""
        bills = BillService(self.session, self.principal)
        found = bills.row_query(bill_id, ("refunds_bill_id",))(self.session)
        sale = None if found.refunds_bill_id is None else bills.lock(found.refunds_bill_id)
        bill = bills.lock(bill_id)
        open_amount = max(ZERO, bill.total - bill.refunded - bill.paid)
        if sale is not None:
            open_amount = min(open_amount, sale.paid - PaymentRepository(self.session).given_back(sale.id_key))
        if values["amount"] > open_amount:
            raise PaymentExceedsOpen(bill_id, values["amount"], open_amount)
        row = self.create({**values, "bill_id": bill_id})
        bills.book(bill, values["amount"])
        return row
