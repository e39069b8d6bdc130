"""Queries on order details."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    ScalarSelect,
    Select,
    and_,
    bindparam,
    exists,
    func,
    literal_column,
    select,
)
from sqlalchemy.orm import aliased

from models import Order, OrderDetail
from models.order import OrderStatus
from repositories.base import BaseRepository
from repositories.order import OrderRepository
from repositories.query.filters import OWNER, OWNER_KEY, by_value
from repositories.query.statement_cache import memoized

# Lines have no date: that of their order counts. Its index finds the orders of few days. For very many orders the lines are
# read in the order of their keys, from the first block of them that has such an order to the last.
# Near enough for distances, which the index keeps as floats, to be exact.
_FARTHEST: ScalarSelect[int] = select(func.max(aliased(Order, name="last_order").id_key)).scalar_subquery()
_line = aliased(OrderDetail, name="line")
_block: ColumnElement[int] = _line.id_key.op(">>")(literal_column("10"))


def _orders(*bounds: str) -> Select[int]:
    return select(Order.id_key).where(*(OrderRepository.filters[bound] for bound in bounds))


def _order(bound: str, start: ColumnElement[int]) -> ScalarSelect[int]:
    """The key of the order within the bound that is nearest to `start`, by the index of keys and dates."""
    distance = (Order.id_key + literal_column("0")).self_group().op("<->")(start)
    return _orders(bound).order_by(distance).limit(1).scalar_subquery()


def _first_key() -> ColumnElement[int]:
    """The key with which the first block begins that has a line of the first order, or of a later one."""
    line = _line.order_id >= _order("date_from", literal_column("0::bigint"))
    return _first_block(_block_of(func.min), _block_of(func.max), line).op("<<")(literal_column("10"))


def _end() -> ColumnElement[int]:
    """The key behind the last block that has a line of the last order, or of an earlier one."""
    line = _line.order_id <= _order("date_to", _FARTHEST)
    last = _first_block(_block_of(func.max), _block_of(func.min), line, step="-1")
    return (last + literal_column("1")).self_group().op("<<")(literal_column("10"))


def _block_of(end: Callable[..., ColumnElement[int]]) -> ScalarSelect[int]:
    """The first block or the last one."""
    return select(end(_line.id_key).op(">>")(literal_column("10"))).scalar_subquery()


def _first_block(
    begin: ColumnElement[int], end: ColumnElement[int], line: ColumnElement[bool], step: str = "1"
) -> ScalarSelect[int]:
    """The first block from `begin` to `end` that has such a line."""
    blocks = func.generate_series(begin, end, literal_column(step)).table_valued("block", name="block")
    number = literal_column("block.block", BigInteger)
    return select(number).select_from(blocks).where(exists().where(_block == number, line)).limit(1).scalar_subquery()


class OrderDetailRepository(BaseRepository[OrderDetail]):
    model = OrderDetail
    filters = {
        **by_value(order_id=OrderDetail.order_id, product_id=OrderDetail.product_id),
        "date_from": and_(OrderDetail.order_id.in_(_orders("date_from")), OrderDetail.id_key >= _first_key()),
        "date_to": and_(OrderDetail.order_id.in_(_orders("date_to")), OrderDetail.id_key < _end()),
        OWNER: OrderDetail.order_id.in_(select(Order.id_key).where(Order.client_id == OWNER_KEY)),
    }

    @classmethod
    def conditions(cls, names: Sequence[str]) -> list[ColumnElement[bool]]:
        """Of two dates the orders between them are looked up, and not those of each."""
        if not {"date_from", "date_to"}.issubset(names):
            return super().conditions(names)
        others = super().conditions([name for name in names if name not in ("date_from", "date_to")])
        between = OrderDetail.order_id.in_(_orders("date_from", "date_to"))
        return [*others, between, OrderDetail.id_key >= _first_key(), OrderDetail.id_key < _end()]

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
