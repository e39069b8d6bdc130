"""The errors of payments, a branch of the tree in `services.errors`."""

from decimal import Decimal

from services.errors import Conflict


class PaymentExceedsOpen(Conflict):
    """More than is open of the bill."""

    code = "payment_exceeds_open"
    text = "Cannot book {amount:.2f} for bill {bill_id}. At most {open_amount:.2f} is open"

    def __init__(self, bill_id: int, amount: Decimal, open_amount: Decimal) -> None:
        super().__init__(bill_id, amount, open_amount)
        self.bill_id, self.amount, self.open_amount = bill_id, amount, open_amount
