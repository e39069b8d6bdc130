"""Bodies, answers and filters of order details."""

from typing import ClassVar

from schemas.base import LEFT_OUT, READ_ONLY, Create, ListQuery, Read, update_of
from schemas.fields import Key, Money, Price, Quantity, QueryReference, Reference


class OrderDetailCreate(Create):
    """A new line of an order. Without a `price` it takes the product's; another price is refused."""

    read_only: ClassVar[frozenset[str]] = READ_ONLY | {"returned_quantity"}

    quantity: Quantity
    price: Price = LEFT_OUT
    order_id: Reference
    product_id: Reference


OrderDetailUpdate = update_of(OrderDetailCreate)


class OrderDetailRead(Read):
    """A line of an order, at the price it was sold for."""

    quantity: int
    returned_quantity: int
    price: Money
    order_id: Key
    product_id: Key


class OrderDetailQuery(ListQuery):
    """Filters of the list of order details."""

    order_id: QueryReference | None = None
    product_id: QueryReference | None = None
