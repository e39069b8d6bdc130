"""Bodies, answers and filters of bills."""

import datetime as dt
from typing import ClassVar, Literal

from schemas.base import LEFT_OUT, NO_MONEY, READ_ONLY, Create, ListQuery, Read, update_of
from schemas.fields import (
    Amount,
    BillNumber,
    Date,
    Key,
    Money,
    PaymentType,
    QueryFrom,
    QueryPaymentType,
    QueryReference,
    QueryText,
    QueryTo,
    Reference,
)


class BillCreate(Create):
    """A new bill. Without a `bill_number` the server gives the next one."""

    read_only: ClassVar[frozenset[str]] = READ_ONLY | {"kind", "refunds_bill_id"}

    bill_number: BillNumber = LEFT_OUT
    discount: Amount = NO_MONEY
    date: Date = LEFT_OUT
    total: Amount
    payment_type: PaymentType
    client_id: Reference | None = None


BillUpdate = update_of(BillCreate)


class BillRead(Read):
    """A bill; `total` is what is to be paid, after the discount."""

    bill_number: str
    discount: Money
    date: dt.date
    total: Money
    payment_type: PaymentType
    client_id: Key | None
    kind: Literal["sale", "credit"]
    refunds_bill_id: Key | None


class BillQuery(ListQuery):
    """Filters of the list of bills."""

    client_id: QueryReference | None = None
    payment_type: QueryPaymentType | None = None
    bill_number: QueryText | None = None
    date_from: QueryFrom | None = None
    date_to: QueryTo | None = None
