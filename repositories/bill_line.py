"""Queries on the lines of bills: those of their orders, those that returns brought back, and those of deleted orders."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from models import Bill, BillLine, Order, OrderDetail, Return, ReturnLine

_SOLD: Sequence[Any] = (
    OrderDetail.id_key.label("order_detail_id"),
    OrderDetail.product_id,
    OrderDetail.name,
    OrderDetail.sku,
    OrderDetail.price,
    OrderDetail.tax_rate,
    OrderDetail.vat_category,
)
_KEPT = tuple(column for column in BillLine.__table__.c if column.name != "bill_id")

Rows = Sequence[Any]


class BillLineRepository:
    """Reads and keeps lines through one session. All are in the order of the keys that they have in their orders."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def of_order(self, bill_id: int) -> Rows:
        """The lines of the order that the bill settles, each with the `total` and `shipping` of the bill."""
        found = (
            select(*_SOLD, OrderDetail.tax_included, OrderDetail.quantity, Bill.total, Bill.shipping)
            .join(Order, Order.id_key == OrderDetail.order_id)
            .join(Bill, Bill.id_key == Order.bill_id)
            .where(Order.bill_id == bill_id)
        )
        return self.session.execute(found.order_by(OrderDetail.id_key)).all()

    def of_return(self, credit_bill_id: int) -> Rows:
        """The lines of the return that the credit bill is for, each with its `amount`."""
        found = (
            select(*_SOLD, ReturnLine.tax_included, ReturnLine.quantity, ReturnLine.amount)
            .join(OrderDetail, OrderDetail.id_key == ReturnLine.order_detail_id)
            .join(Return, Return.id_key == ReturnLine.return_id)
            .where(Return.credit_bill_id == credit_bill_id)
        )
        return self.session.execute(found.order_by(OrderDetail.id_key)).all()

    def kept(self, bill_id: int) -> Rows:
        """The lines that the bill kept of its order, which was deleted."""
        found = select(*_KEPT).where(BillLine.bill_id == bill_id).order_by(BillLine.order_detail_id)
        return self.session.execute(found).all()

    def keep(self, bill_id: int, lines: Sequence[dict[str, Any]]) -> None:
        """Let the bill keep these lines, in place of those that it may have of an earlier order."""
        self.session.execute(delete(BillLine).where(BillLine.bill_id == bill_id))
        if lines:
            self.session.execute(insert(BillLine), [{**line, "bill_id": bill_id} for line in lines])
