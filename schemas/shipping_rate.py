"""Bodies, responses and filters of shipping rates."""

from typing import ClassVar

from pydantic import BaseModel, Field

from schemas.base import Create, ListQuery, Read, update_of
from schemas.enumerations import DeliveryMethod
from schemas.field_types import Amount, CountryCode, Money, NamedCountry, OrNull
from schemas.query_types import QueryCountries, QueryDeliveryMethods

_COUNTRY = "Where the order goes to; null: every country that has no rate of its own"
_FREE_FROM = "From this amount of goods on, after the discount, the delivery costs nothing; null: never"


class ShippingRateCreate(Create):
    """A new shipping rate. There is one for each delivery method and country, and one for all other countries."""

    delivery_method: DeliveryMethod
    country: OrNull[NamedCountry] = Field(default=None, description=_COUNTRY)
    price: Amount
    free_from: Amount | None = Field(default=None, description=_FREE_FROM)


ShippingRateUpdate = update_of(ShippingRateCreate)


class ShippingRateRead(Read):
    """What the delivery of an order costs. A checkout takes the rate of its country, or else the one for all others."""

    delivery_method: DeliveryMethod
    country: CountryCode | None = Field(description=_COUNTRY)
    price: Money
    free_from: Money | None = Field(description=_FREE_FROM)


class ShippingRateQuery(ListQuery):
    """Filters of the list of shipping rates."""

    row: ClassVar[type[BaseModel]] = ShippingRateRead

    delivery_method: QueryDeliveryMethods = ()
    country: QueryCountries = ()
