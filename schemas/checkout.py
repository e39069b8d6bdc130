"""Bodies and responses of placing an order."""

from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, Field

from models.order import DeliveryMethod as _DeliveryMethod
from schemas.base import LEFT_OUT, NO_MONEY, Body
from schemas.bill import BillRead, BillTaxRead
from schemas.enumerations import DeliveryMethod, PaymentType, VatCategory
from schemas.error_limits import InChunks
from schemas.field_types import Amount, BillNumber, Currency, Key, Money, Percent, Pieces, Price, Quantity, Reference
from schemas.order import OrderRead
from schemas.order_detail import OrderDetailRead
from schemas.time_types import Moment

MAX_LINES = 1000


class CheckoutLine(Body):
    """So many of a product. Without a `price` it takes the product's; another price is refused."""

    product_id: Reference
    quantity: Quantity
    price: Price = LEFT_OUT

    @property
    def offered(self) -> Decimal | None:
        """The price that the client believes in, if it sent one."""
        return self.price if "price" in self.model_fields_set else None


class Checkout(Body):
    """An order to be placed in one go. `expected_total` is what the client believes is to be paid, with the shipping."""

    client_id: Reference = Field(description="Customers may leave it out: it is their own")
    delivery_method: DeliveryMethod
    payment_type: PaymentType
    lines: Annotated[list[CheckoutLine], Field(min_length=1, max_length=MAX_LINES), InChunks(MAX_LINES)]
    discount: Amount = NO_MONEY
    bill_number: BillNumber = LEFT_OUT
    date: Moment = LEFT_OUT
    address_id: Reference | None = Field(
        default=None,
        description="Left out, a HOME_DELIVERY goes to the client's default address, if there is one; null means none",
    )
    expected_total: Amount = LEFT_OUT

    @property
    def goes_to_default_address(self) -> bool:
        """Whether it goes to the default address of the client, if there is one."""
        return self.delivery_method == _DeliveryMethod.HOME_DELIVERY and "address_id" not in self.model_fields_set

    def optional(self, name: str) -> Any:
        """The field, or None where it was left out."""
        return getattr(self, name) if name in self.model_fields_set else None


class QuotedLineRead(BaseModel):
    """A line as it would be sold now."""

    product_id: Key
    name: str
    sku: str | None
    quantity: Pieces
    price: Money
    amount: Money
    tax_rate: Percent
    vat_category: VatCategory
    tax_included: Money


class ShortageRead(BaseModel):
    """A product of which there is less than asked for."""

    product_id: Key
    requested: Pieces
    available: Pieces


class QuoteRead(BaseModel):
    """What a checkout would come to now. With `shortages` it would be refused."""

    client_id: Key
    delivery_method: DeliveryMethod
    payment_type: PaymentType
    lines: list[QuotedLineRead]
    shortages: list[ShortageRead]
    total: Money
    discount: Money
    shipping: Money
    tax_included: Money
    taxes: list[BillTaxRead]
    to_pay: Money
    currency: Currency


class PlacedOrderRead(OrderRead):
    """An order with its details and its bill inside."""

    order_details: list[OrderDetailRead]
    bill: BillRead
