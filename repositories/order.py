"""Queries on orders."""

from sqlalchemy import bindparam, select

from models import Order
from repositories.base import BaseRepository


class OrderRepository(BaseRepository[Order]):
    model = Order
    ranges = {"date_from": Order.date >= bindparam("date_from"), "date_to": Order.date <= bindparam("date_to")}
    filters = {
        "client_id": Order.client_id == bindparam("client_id"),
        "status": Order.status == bindparam("status"),
        "delivery_method": Order.delivery_method == bindparam("delivery_method"),
        "bill_id": Order.bill_id == bindparam("bill_id"),
        **ranges,
    }

    def lock_of_bill(self, bill_id: int) -> Order | None:
        """The order that the bill settles, locked; None if there is none."""
        order_id = self.session.scalar(select(Order.id_key).where(Order.bill_id == bill_id))
        if order_id is None:
            return None
        order = self.lock(order_id)
        # It may have got another bill, or gone, before it was locked.
        return order if order is not None and order.bill_id == bill_id else None
