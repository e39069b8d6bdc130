"""Queries on payments."""

from decimal import Decimal

from sqlalchemy import func, select

from models import Bill, Payment
from repositories.base import BaseRepository
from repositories.bill import OWN_BILLS
from repositories.query.filters import OWNER, by_value


class PaymentRepository(BaseRepository[Payment]):
    model = Payment
    filters = {
        **by_value(bill_id=Payment.bill_id, method=Payment.method),
        OWNER: Payment.bill_id == func.any(func.array(OWN_BILLS)),
    }

    def given_back(self, sale_bill_id: int) -> Decimal:
        """What was paid of all credit bills of a sale bill. Nothing is added to it while that bill is locked."""
        paid = select(func.coalesce(func.sum(Bill.paid), 0)).where(Bill.refunds_bill_id == sale_bill_id)
        return self.session.scalars(paid).one()
