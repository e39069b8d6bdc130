"""Bodies, responses and filters of payments."""

import datetime as dt
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, Field

from schemas.base import LEFT_OUT, READ_ONLY, Create, ListQuery, Read
from schemas.enumerations import PaymentMethod
from schemas.field_types import Key, Money, OrNull, Price, Text100
from schemas.query_types import QueryPaymentMethods, QueryReferences
from schemas.time_types import Moment

_REFERENCE = "What finds it again elsewhere, such as the number of a transfer"


class PaymentCreate(Create):
    """Money for a bill, of a credit bill money given back. Without `paid_at` it is of now."""

    read_only: ClassVar[Mapping[str, Any]] = {**READ_ONLY, "bill_id": Key}

    amount: Price
    method: PaymentMethod
    reference: OrNull[Text100] = Field(default=None, description=_REFERENCE)
    paid_at: Moment = LEFT_OUT


class PaymentRead(Read):
    """Money for a bill, of a credit bill money given back. It never changes."""

    bill_id: Key
    amount: Money
    method: PaymentMethod
    reference: str | None = Field(max_length=100, description=_REFERENCE)
    paid_at: dt.datetime


class BillPaymentsQuery(ListQuery):
    """Filters of the payments of one bill."""

    row: ClassVar[type[BaseModel]] = PaymentRead

    method: QueryPaymentMethods = ()


class PaymentQuery(BillPaymentsQuery):
    """Filters of the list of payments."""

    bill_id: QueryReferences = Field(default=(), examples=[[1]])
