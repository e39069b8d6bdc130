"""Queries on order details."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, bindparam, exists, func, select

from models import Order, OrderDetail
from models.order import OrderStatus
from repositories.base import BaseRepository
from repositories.query.filters import OWNER, OWNER_KEY, by_value
from repositories.query.statement_cache import memoized


class OrderDetailRepository(BaseRepository[OrderDetail]):
    model = OrderDetail
    filters = {
        **by_value(order_id=OrderDetail.order_id, product_id=OrderDetail.product_id),
        OWNER: OrderDetail.order_id.in_(select(Order.id_key).where(Order.client_id == OWNER_KEY)),
    }

    def exist(self, order_id: int) -> bool:
        """Whether the order has any details."""
        return bool(self.session.scalar(select(exists().where(OrderDetail.order_id == order_id))))

    def is_bought_by(self, client_id: int, product_id: int) -> bool:
        """Whether the product is in an order of the client that is not canceled."""
        orders = select(Order.id_key).where(Order.client_id == client_id, Order.status != OrderStatus.CANCELED)
        bought = exists().where(OrderDetail.product_id == product_id, OrderDetail.order_id.in_(orders))
        return bool(self.session.scalar(select(bought)))

    def of_order(self, order_id: int) -> Sequence[OrderDetail]:
        """The details of the order, as they are now; lock the order first."""
        statement = select(OrderDetail).where(OrderDetail.order_id == order_id).order_by(OrderDetail.id_key)
        return self.session.scalars(statement.execution_options(populate_existing=True)).all()

    def some_of(self, order_ids: Sequence[int], fields: tuple[str, ...], most: int) -> Sequence[Any]:
        """The named columns of the details of these orders, at most `most` of them, unsorted."""
        return self.session.execute(_some_of(fields), {"keys": list(order_ids), "most": most}).all()

    def numbers(self, order_ids: Sequence[int]) -> dict[int, int]:
        """How many details each of these orders has; orders without details are left out."""
        rows = self.session.execute(_numbers(), {"keys": list(order_ids)})
        return {row[0]: row[1] for row in rows}

    def next_of(self, order_id: int, after: int, fields: tuple[str, ...], most: int) -> Sequence[Any]:
        """The named columns of the next `most` details of the order behind the one with the key `after`."""
        return self.session.execute(_next_of(fields), {"order_id": order_id, "after": after, "most": most}).all()


_OF_ORDERS = OrderDetail.order_id == func.any(bindparam("keys"))


def _columns(fields: tuple[str, ...]) -> Select[Any]:
    return select(*(getattr(OrderDetail, name) for name in fields))


@memoized
def _some_of(fields: tuple[str, ...]) -> Select[Any]:
    return _columns(fields).where(_OF_ORDERS).limit(bindparam("most"))


@memoized
def _numbers() -> Select[int, int]:
    return select(OrderDetail.order_id, func.count()).where(_OF_ORDERS).group_by(OrderDetail.order_id)


@memoized
def _next_of(fields: tuple[str, ...]) -> Select[Any]:
    # In the order of the index by order, which also finds the first of these details.
    following = (OrderDetail.order_id == bindparam("order_id")) & (OrderDetail.id_key > bindparam("after"))
    return _columns(fields).where(following).order_by(OrderDetail.order_id, OrderDetail.id_key).limit(bindparam("most"))
