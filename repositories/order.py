"""Queries on orders."""

from sqlalchemy import bindparam, select

from models import Bill, Order, OrderDetail
from repositories import order_search
from repositories.base import BaseRepository
from repositories.event_writing import Told
from repositories.query.filters import by_value
from repositories.query.json_objects import json_object
from schemas.bill import BillRead
from schemas.order import OrderRead
from schemas.order_detail import OrderDetailRead


def _inside(row: str) -> dict[str, str]:
    """The SQL of what is told of an order beside its own fields: its details and its bill."""
    details = f"""(SELECT string_agg({json_object(OrderDetail, OrderDetailRead)}, ',' ORDER BY order_details.id_key)
        FROM order_details WHERE order_details.order_id = {row}.id_key)"""  # noqa: S608
    bill = f"(SELECT {json_object(Bill, BillRead)} FROM bills WHERE bills.id_key = {row}.bill_id)"  # noqa: S608
    return {"order_details": f"'[', {details}, ']'", "bill": bill}


class OrderRepository(BaseRepository[Order]):
    model = Order
    told = Told(Order, OrderRead, "order", members=_inside, client="client_id")
    owner = "client_id"
    ranges = {"date_from": Order.date >= bindparam("date_from"), "date_to": Order.date <= bindparam("date_to")}
    filters = {
        **by_value(
            client_id=Order.client_id,
            status=Order.status,
            delivery_method=Order.delivery_method,
            bill_id=Order.bill_id,
        ),
        **ranges,
        "q": order_search.found,
    }
    rankings = {"q": order_search.ranking}

    def lock_of_bill(self, bill_id: int) -> Order | None:
        """The order that the bill settles, locked; None if there is none."""
        order_id = self.session.scalar(select(Order.id_key).where(Order.bill_id == bill_id))
        if order_id is None:
            return None
        order = self.lock(order_id)
        # It may have got another bill, or have been deleted, before it was locked.
        return order if order is not None and order.bill_id == bill_id else None
