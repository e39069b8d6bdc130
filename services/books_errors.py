"""Errors of the books: what documents, refunds and orders on their way do not allow. They are part of the tree in `errors`.

Conflict                    409
├── DocumentFixed                a bill that is a document, and its order has left PENDING or is gone
├── RefundExceedsPayment         a bill's total below what was refunded of it
├── ClientMismatch               an order and its bill of two clients
└── OrderIsEmpty                 an order without lines on its way
"""

from decimal import Decimal

from services.errors import Conflict


class DocumentFixed(Conflict):
    code = "document_fixed"
    text = (
        "Bill {bill_id} is a document: its number, client, date, lines and totals do not change any more, and it stays"
    )

    def __init__(self, bill_id: int) -> None:
        super().__init__(bill_id)
        self.bill_id = bill_id


class RefundExceedsPayment(Conflict):
    code = "refund_exceeds_payment"
    text = "The total of bill {bill_id} cannot become {total:.2f}: {refunded:.2f} of it was refunded"

    def __init__(self, bill_id: int, total: Decimal, refunded: Decimal) -> None:
        super().__init__(bill_id, total, refunded)
        self.bill_id, self.total, self.refunded = bill_id, total, refunded


class ClientMismatch(Conflict):
    code = "client_mismatch"
    text = "An order, its bill and its credit bills have one client: bill {bill_id} would have another"

    def __init__(self, bill_id: int) -> None:
        super().__init__(bill_id)
        self.bill_id = bill_id


class OrderIsEmpty(Conflict):
    code = "order_is_empty"
    text = "Order {order_id} has no lines: it can be canceled, and goes nowhere else"

    def __init__(self, order_id: int) -> None:
        super().__init__(order_id)
        self.order_id = order_id
