"""Lines of bills: what was sold for how much, with the share of the discount, also when the order is gone."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Session

from models.bill import CreditReason
from repositories.bill_line import BillLineRepository, Rows
from services.largest_remainder import spread

_ZERO = Decimal("0.00")
_KEPT = (
    "order_detail_id",
    "product_id",
    "name",
    "sku",
    "quantity",
    "price",
    "tax_rate",
    "vat_category",
    "tax_included",
)

# Such credit bills answer the whole bill.
_ANSWERED_WHOLE = (CreditReason.CANCELED, CreditReason.DELETED)

Line = dict[str, Any]


class BillLineService:
    """Reads the lines of bills, and keeps those of an order that is about to be deleted."""

    def __init__(self, session: Session) -> None:
        self.lines = BillLineRepository(session)

    def of_bill(self, bill: Any) -> list[Line]:
        """The lines of a bill with `id_key, refunds_bill_id, reason`, by the names of `schemas.bill.BillLineRead`.

        A credit bill of a return has what came back; any other one has all lines of the bill that it answers. Over all
        lines `amount` sums up to the total of the bill less its shipping.
        """
        if bill.refunds_bill_id is not None and bill.reason not in _ANSWERED_WHOLE:
            return _with_amounts(_of_return(row) for row in self.lines.of_return(bill.id_key))
        sale_id: int = bill.refunds_bill_id or bill.id_key
        return _with_amounts(_of_order(self.lines.of_order(sale_id)) or self._kept(sale_id))

    def keep(self, bill_id: int) -> None:
        """Let the locked bill keep the lines of its order."""
        self.lines.keep(bill_id, _of_order(self.lines.of_order(bill_id)))

    def _kept(self, bill_id: int) -> list[Line]:
        return [_line(row, row.discount) for row in self.lines.kept(bill_id)]


def _of_order(rows: Rows) -> list[Line]:
    """The lines, among which is spread what the discount took off: what the goods cost less what is to be paid for them."""
    if not rows:
        return []
    costs = {row.order_detail_id: row.quantity * row.price for row in rows}
    taken_off = sum(costs.values(), _ZERO) + rows[0].shipping - rows[0].total
    shares = spread(taken_off, costs)
    return [_line(row, shares[row.order_detail_id]) for row in rows]


def _of_return(row: Any) -> Line:
    return _line(row, row.quantity * row.price - row.amount)


def _line(row: Any, discount: Decimal) -> Line:
    return {name: getattr(row, name) for name in _KEPT} | {"discount": discount}


def _with_amounts(lines: Iterable[Line]) -> list[Line]:
    return [line | {"amount": line["quantity"] * line["price"] - line["discount"]} for line in lines]
