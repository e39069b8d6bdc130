"""Bodies, responses and filters of orders."""

import datetime as dt
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, Field, WithJsonSchema

from schemas.address import ShipTo
from schemas.base import LEFT_OUT, NO_MONEY, READ_ONLY, Create, ListQuery, Read, update_of
from schemas.bill import BillRead
from schemas.client import ClientRead
from schemas.enumerations import DeliveryMethod, OrderStatus, PaymentStatus, VatCategory
from schemas.field_types import Amount, Currency, Key, Money, Percent, Reference, ShopCurrency
from schemas.order_detail import OrderDetailRead
from schemas.query_types import (
    QueryDeliveryMethods,
    QueryFrom,
    QueryOrderStatuses,
    QueryReferences,
    QueryText,
    QueryTo,
    names_schema,
    subset_of,
)
from schemas.time_types import Moment

EXPANDABLE = ("order_details", "bill", "client")


# What the order has from its lines, its returns and its bill.
_FIGURES = ("returned_total", "discount", "shipping", "tax_included", "to_pay", "refunded", "net", "paid")


class OrderCreate(Create):
    """A new order, without details yet."""

    read_only: ClassVar[Mapping[str, Any]] = {
        **READ_ONLY,
        **dict.fromkeys(_FIGURES, Money),
        "payment_status": PaymentStatus,
        "shipping_tax_rate": Percent,
        "shipping_vat_category": VatCategory,
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
    total: Money = Field(description="The sum of the lines; with two decimals")
    returned_total: Money = Field(description="What was given back for returned goods; with two decimals")
    discount: Money
    shipping: Money
    tax_included: Money
    to_pay: Money = Field(
        description="The total less the discount, with the shipping: what the bill comes to; with two decimals"
    )
    refunded: Money = Field(description="The sum of the credit bills of its bill; with two decimals")
    net: Money = Field(description="What is to be paid, less what was refunded; with two decimals")
    paid: Money = Field(description="The sum of the payments of its bill; with two decimals")
    payment_status: PaymentStatus
    shipping_tax_rate: Percent
    shipping_vat_category: VatCategory
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


_SEARCH = (
    "Words of any script, all of which have to be there, each in one of these: the number of the order or of its bill (a "
    "whole one), name, e-mail and telephone of its client, the names of its products. Case and accents make no "
    "difference. Where every word stands in 1,000 orders or more, only 1,000 of one word are looked at. Without a letter "
    "or digit nothing is found."
)


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
    q: QueryText | None = Field(default=None, description=_SEARCH, examples=["ada lamp"])

    @property
    def shows_whole_rows(self) -> bool:
        return super().shows_whole_rows and not self.expand


class OrderQuery(ClientOrdersQuery):
    """Filters of the list of orders."""

    client_id: QueryReferences = ()
