"""Queries on order details."""

from collections.abc import Sequence

from sqlalchemy import exists, select

from models import OrderDetail
from repositories.base import BaseRepository
from repositories.filters import by_value


class OrderDetailRepository(BaseRepository[OrderDetail]):
    model = OrderDetail
    filters = by_value(order_id=OrderDetail.order_id, product_id=OrderDetail.product_id)

    def exist(self, order_id: int) -> bool:
        """Whether the order has any details."""
        return bool(self.session.scalar(select(exists().where(OrderDetail.order_id == order_id))))

    def of_order(self, order_id: int) -> Sequence[OrderDetail]:
        """The details of the order, as they are now; lock the order first."""
        statement = select(OrderDetail).where(OrderDetail.order_id == order_id).order_by(OrderDetail.id_key)
        return self.session.scalars(statement.execution_options(populate_existing=True)).all()
