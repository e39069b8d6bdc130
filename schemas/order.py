"""Bodies, answers and filters of orders."""

import datetime as dt
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, WithJsonSchema

from schemas.base import LEFT_OUT, NO_MONEY, READ_ONLY, Create, ListQuery, Read, update_of
from schemas.bill import BillRead
from schemas.client import ClientRead
from schemas.fields import (
    Amount,
    DeliveryMethod,
    Key,
    Money,
    OrderStatus,
    QueryDeliveryMethod,
    QueryFrom,
    QueryOrderStatus,
    QueryReference,
    QueryTo,
    Reference,
    Timestamp,
)
from schemas.order_detail import OrderDetailRead

EXPANDABLE = ("order_details", "bill", "client")


class OrderCreate(Create):
    """A new order, without details yet."""

    read_only: ClassVar[frozenset[str]] = READ_ONLY | {"returned_total", *EXPANDABLE}

    date: Timestamp = LEFT_OUT
    total: Amount = NO_MONEY
    delivery_method: DeliveryMethod
    status: OrderStatus = 1
    client_id: Reference
    bill_id: Reference
    address_id: Reference | None = None


OrderUpdate = update_of(OrderCreate)


class OrderRead(Read):
    """An order. Status: 1 PENDING, 2 IN_PROGRESS, 3 DELIVERED, 4 CANCELED."""

    date: dt.datetime
    total: Money
    returned_total: Money
    delivery_method: DeliveryMethod
    status: OrderStatus
    client_id: Key
    bill_id: Key
    address_id: Key | None


class ExpandedOrderRead(OrderRead):
    """An order with the objects that were asked for inside."""

    order_details: list[OrderDetailRead] = LEFT_OUT
    bill: BillRead = LEFT_OUT
    client: ClientRead = LEFT_OUT


def _names(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    names = tuple(value.split(","))
    if not set(names) <= set(EXPANDABLE):
        raise ValueError(f"must name some of {', '.join(EXPANDABLE)}")
    return names


_NAME = f"({'|'.join(EXPANDABLE)})"
EXPAND_FORM = WithJsonSchema({"type": "string", "pattern": f"^{_NAME}(,{_NAME})*$", "examples": [",".join(EXPANDABLE)]})
Expand = Annotated[tuple[str, ...], BeforeValidator(_names), EXPAND_FORM]


class ClientOrdersQuery(ListQuery):
    """Filters of the orders of one client."""

    shaping: ClassVar[frozenset[str]] = ListQuery.shaping | {"expand"}

    expand: Expand = Field(default=(), description="Objects to show inside each order")

    status: QueryOrderStatus | None = None
    delivery_method: QueryDeliveryMethod | None = None
    bill_id: QueryReference | None = None
    date_from: QueryFrom | None = None
    date_to: QueryTo | None = None


class OrderQuery(ClientOrdersQuery):
    """Filters of the list of orders."""

    client_id: QueryReference | None = None
