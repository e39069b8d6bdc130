"""Bodies, responses and filters of returns."""

from typing import Annotated, ClassVar

from pydantic import BaseModel, Field

from schemas.base import Body, ListQuery, Read
from schemas.bill import BillRead
from schemas.checkout import MAX_LINES
from schemas.error_limits import InChunks
from schemas.field_types import Flag, Key, Money, OrNull, Pieces, Quantity, Reference, Text500
from schemas.query_types import QueryFrom, QueryReferences, QueryTo


class ReturnLine(Body):
    """So many pieces of a line that come back."""

    order_detail_id: Reference
    quantity: Quantity


class Return(Body):
    """Goods of an order that come back."""

    lines: Annotated[list[ReturnLine], Field(min_length=1, max_length=MAX_LINES), InChunks(MAX_LINES)]
    reason: OrNull[Text500] = None
    restock: Flag = Field(default=True, description="Whether the goods can be sold again; false writes them off")
    refund_shipping: Flag = Field(
        default=False, description="Whether the shipping is given back too: with the last goods of the order alone"
    )


class CreditBillRead(BillRead):
    """The credit bill of a return."""

    return_id: Key


class ReturnRead(Read):
    """Goods of an order that came back."""

    order_id: Key
    credit_bill_id: Key
    reason: str | None = Field(max_length=500)
    restock: bool = Field(description="Whether the goods went back to the stock; false: they were written off")


class ReturnedLineRead(BaseModel):
    """So many pieces of a line that came back, and the money given back for them."""

    order_detail_id: Key
    product_id: Key
    quantity: Pieces
    amount: Money


class ReturnWithLinesRead(ReturnRead):
    """A return with its lines, whose amounts sum up to the total of the credit bill, less the shipping in that."""

    lines: list[ReturnedLineRead]


class OrderReturnsQuery(ListQuery):
    """Filters of the returns of one order. `date_from` and `date_to` are about the time of the return."""

    row: ClassVar[type[BaseModel]] = ReturnRead

    date_from: QueryFrom | None = None
    date_to: QueryTo | None = None


class ReturnQuery(OrderReturnsQuery):
    """Filters of the list of returns."""

    order_id: QueryReferences = ()
    client_id: QueryReferences = Field(default=(), examples=[[1]])


class OneReturnQuery(ListQuery):
    """The query of one return, which has lines beside its fields."""

    row: ClassVar[type[BaseModel]] = ReturnWithLinesRead
