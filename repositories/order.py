"""Queries on orders."""

from sqlalchemy import bindparam, select

from models import Order
from repositories.base import BaseRepository
from repositories.query.filters import by_value


class OrderRepository(BaseRepository[Order]):
    model = Order
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
    }

    def lock_of_bill(self, bill_id: int) -> Order | None:
        """The order that the bill settles, locked; None if there is none."""
        order_id = self.session.scalar(select(Order.id_key).where(Order.bill_id == bill_id))
        if order_id is None:
            return None
        order = self.lock(order_id)
        # It may have got another bill, or have been deleted, before it was locked.
        return order if order is not None and order.bill_id == bill_id else None
