"""Bodies, responses and filters of bills."""

import datetime as dt
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, Field

from schemas.base import LEFT_OUT, NO_MONEY, READ_ONLY, Create, ListQuery, Read, update_of
from schemas.enumerations import BillKind, CreditReason, PaymentStatus, PaymentType, VatCategory
from schemas.field_types import (
    Amount,
    BillNumber,
    CountryCode,
    Currency,
    Key,
    Money,
    Percent,
    Quantity,
    Reference,
    ShopCurrency,
    Sum,
)
from schemas.query_types import QueryBillKinds, QueryFrom, QueryPaymentTypes, QueryReferences, QueryText, QueryTo
from schemas.time_types import Date


class BillLineRead(BaseModel):
    """A line of a bill: as sold, with its share of the discount. On a credit bill, what it gives back of it."""

    order_detail_id: Key = Field(description="The line of the order, which may have been deleted since")
    product_id: Key
    name: str = Field(max_length=200)
    sku: str | None = Field(max_length=64)
    quantity: Quantity
    price: Money
    discount: Money = Field(description="Its share of the discount; with two decimals")
    amount: Money = Field(
        description="`quantity` × `price` − `discount`, with two decimals; they sum up to the bill's total less its shipping"
    )
    tax_rate: Percent
    vat_category: VatCategory
    tax_included: Money = Field(description="The tax in `amount`; with two decimals")


class BillCreate(Create):
    """A new bill. Without a `bill_number` the server gives the next one."""

    read_only: ClassVar[Mapping[str, Any]] = {
        **READ_ONLY,
        "kind": BillKind,
        "refunds_bill_id": Key | None,
        "reason": CreditReason | None,
        **dict.fromkeys(("refunded", "shipping", "tax", "paid"), Money),
        "taxes": list[dict[str, Any]],
        "payment_status": PaymentStatus,
        "bill_lines": list[dict[str, Any]],
    }

    bill_number: BillNumber = LEFT_OUT
    discount: Amount = NO_MONEY
    date: Date = LEFT_OUT
    total: Amount
    payment_type: PaymentType
    client_id: Reference | None = None
    currency: ShopCurrency = LEFT_OUT


BillUpdate = update_of(BillCreate)


class BillTaxRead(BaseModel):
    """What a bill, or some bills, have at one rate: `gross` is `net` and the `tax` on it."""

    country: CountryCode
    rate: Percent
    vat_category: VatCategory
    net: Sum
    tax: Sum
    gross: Sum


class BillRead(Read):
    """A bill; `total` is what is to be paid, after the discount, and `refunded` the sum of its credit bills."""

    bill_number: str = Field(max_length=50)
    discount: Money
    date: dt.date
    total: Money
    payment_type: PaymentType
    client_id: Key | None
    kind: BillKind
    refunds_bill_id: Key | None
    reason: CreditReason | None = Field(description="Why a credit bill was made")
    refunded: Money
    shipping: Money
    tax: Money = Field(description="What is in the total; with two decimals")
    taxes: list[BillTaxRead] = Field(description="Its sums by rate; `gross` sums up to the total, `tax` to the tax")
    paid: Money = Field(description="The sum of its payments; with two decimals")
    payment_status: PaymentStatus
    currency: Currency


class BillWithLinesRead(BillRead):
    """A bill with its lines, which it keeps when its order is deleted."""

    bill_lines: list[BillLineRead] = Field(default=[], description="Left out where there are none")


class ClientBillsQuery(ListQuery):
    """Filters of the bills of one client."""

    row: ClassVar[type[BaseModel]] = BillRead

    payment_type: QueryPaymentTypes = ()
    kind: QueryBillKinds = ()
    refunds_bill_id: QueryReferences = Field(default=(), examples=[[1]])
    bill_number: QueryText | None = None
    date_from: QueryFrom | None = None
    date_to: QueryTo | None = None


class BillQuery(ClientBillsQuery):
    """Filters of the list of bills."""

    client_id: QueryReferences = ()
