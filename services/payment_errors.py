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


class PaymentExceedsTotal(Conflict):
    """A bill's total below what was paid of it."""

    code = "payment_exceeds_total"
    text = (
        "The total of bill {bill_id} cannot become {total:.2f}: {paid:.2f} of it is paid. "
        "Cancel its order, or take goods back once it is on its way: credit bills give money back"
    )

    def __init__(self, bill_id: int, total: Decimal, paid: Decimal) -> None:
        super().__init__(bill_id, total, paid)
        self.bill_id, self.total, self.paid = bill_id, total, paid
