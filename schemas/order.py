"""Bodies, responses and filters of orders."""

import datetime as dt
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, Field, WithJsonSchema

from schemas.address import ShipTo
from schemas.base import LEFT_OUT, NO_MONEY, READ_ONLY, Create, ListQuery, Read, update_of
from schemas.bill import BillRead
from schemas.client import ClientRead
from schemas.enumerations import DeliveryMethod, OrderStatus
from schemas.field_types import Amount, Currency, Key, Money, Reference, ShopCurrency
from schemas.order_detail import OrderDetailRead
from schemas.query_types import (
    QueryDeliveryMethods,
    QueryFrom,
    QueryOrderStatuses,
    QueryReferences,
    QueryTo,
    names_schema,
    subset_of,
)
from schemas.time_types import Moment

EXPANDABLE = ("order_details", "bill", "client")


class OrderCreate(Create):
    """A new order, without details yet."""

    read_only: ClassVar[Mapping[str, Any]] = {
        **READ_ONLY,
        "returned_total": Money,
        "ship_to": dict[str, Any] | None,
        "order_details": list[dict[str, Any]],
        "bill": dict[str, Any],
        "client": dict[str, Any],
    }

    date: Moment = LEFT_OUT
    total: Amount = NO_MONEY
    delivery_method: DeliveryMethod
    status: OrderStatus = 1
    client_id: Reference
    bill_id: Reference
    address_id: Reference | None = None
    currency: ShopCurrency = LEFT_OUT


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
    ship_to: ShipTo | None
    currency: Currency


class ExpandedOrderRead(OrderRead):
    """An order with the objects that were asked for inside."""

    order_details: list[OrderDetailRead] = LEFT_OUT
    bill: BillRead = LEFT_OUT
    client: ClientRead = LEFT_OUT


Expand = Annotated[
    tuple[str, ...],
    BeforeValidator(subset_of(EXPANDABLE)),
    WithJsonSchema(names_schema(EXPANDABLE)),
]


class ClientOrdersQuery(ListQuery):
    """Filters of the orders of one client."""

    shaping: ClassVar[frozenset[str]] = ListQuery.shaping | {"expand"}
    single_row_parameters: ClassVar[frozenset[str]] = ListQuery.single_row_parameters | {"expand"}
    row: ClassVar[type[BaseModel]] = OrderRead

    expand: Expand = Field(default=(), description="Objects to show inside each order, with commas between")

    status: QueryOrderStatuses = ()
    delivery_method: QueryDeliveryMethods = ()
    bill_id: QueryReferences = ()
    date_from: QueryFrom | None = None
    date_to: QueryTo | None = None

    @property
    def shows_whole_rows(self) -> bool:
        return super().shows_whole_rows and not self.expand


class OrderQuery(ClientOrdersQuery):
    """Filters of the list of orders."""

    client_id: QueryReferences = ()
