"""Bodies, responses and filters of order details."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, Field

from schemas.base import LEFT_OUT, READ_ONLY, Create, ListQuery, Read, update_of
from schemas.enumerations import VatCategory
from schemas.field_types import Key, Money, Percent, Pieces, Price, Quantity, Reference
from schemas.query_types import QueryFrom, QueryReferences, QueryTo


class OrderDetailCreate(Create):
    """A new line of an order. Without a `price` it takes the product's; another price is refused."""

    read_only: ClassVar[Mapping[str, Any]] = {
        **READ_ONLY,
        "returned_quantity": Pieces,
        "name": str,
        "sku": str | None,
        "tax_rate": Percent,
        "vat_category": VatCategory,
        "tax_included": Money,
    }

    quantity: Quantity
    price: Price = LEFT_OUT
    order_id: Reference
    product_id: Reference


OrderDetailUpdate = update_of(OrderDetailCreate)


class OrderDetailRead(Read):
    """A line of an order. `price`, `name`, `sku` and `tax_rate` are those of when it was sold, whatever became of them since."""

    quantity: Quantity
    returned_quantity: Pieces
    price: Money
    name: str = Field(max_length=200)
    sku: str | None = Field(max_length=64)
    tax_rate: Percent
    vat_category: VatCategory
    tax_included: Money = Field(description="The tax in what it costs after its share of the discount")
    order_id: Key
    product_id: Key


class OrderDetailQuery(ListQuery):
    """Filters of the list of order details."""

    row: ClassVar[type[BaseModel]] = OrderDetailRead

    order_id: QueryReferences = ()
    product_id: QueryReferences = ()
    date_from: QueryFrom | None = Field(default=None, description="Only lines of orders of this time or later")
    date_to: QueryTo | None = Field(default=None, description="Only lines of orders of this time or earlier")
