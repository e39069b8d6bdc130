"""Bodies, responses and filters of addresses."""

from typing import ClassVar

from pydantic import BaseModel, Field

from schemas.base import LEFT_OUT, Create, ListQuery, Read, update_of
from schemas.field_types import (
    Country,
    CountryCode,
    Flag,
    Key,
    Name100,
    Name200,
    OrNull,
    Reference,
    Telephone,
    Text20,
    Text100,
    Text200,
)
from schemas.query_types import QueryCountries, QueryReferences, QueryText


class AddressCreate(Create):
    """A new address of a client. Of a client's addresses one may be the default; a new one takes the place of another."""

    recipient: OrNull[Text200] = None
    street: Name200
    number: OrNull[Text20] = None
    city: Name100
    postcode: OrNull[Text20] = None
    region: OrNull[Text100] = None
    country: Country = LEFT_OUT
    telephone: OrNull[Telephone] = None
    is_default: Flag = False
    client_id: Reference = Field(description="Customers may leave it out: it is their own")


AddressUpdate = update_of(AddressCreate)


class AddressRead(Read):
    """An address of a client."""

    recipient: str | None = Field(max_length=200)
    street: str = Field(max_length=200)
    number: str | None = Field(max_length=20)
    city: str = Field(max_length=100)
    postcode: str | None = Field(max_length=20)
    region: str | None = Field(max_length=100)
    country: CountryCode
    telephone: str | None = Field(max_length=21)
    is_default: bool
    client_id: Key


class ShipTo(BaseModel):
    """An address as it was when an order was placed."""

    recipient: str | None = Field(max_length=200)
    street: str = Field(max_length=200)
    number: str | None = Field(max_length=20)
    city: str = Field(max_length=100)
    postcode: str | None = Field(max_length=20)
    region: str | None = Field(max_length=100)
    country: CountryCode
    telephone: str | None = Field(max_length=21)


class ClientAddressesQuery(ListQuery):
    """Filters of the addresses of one client."""

    row: ClassVar[type[BaseModel]] = AddressRead

    city: QueryText | None = None
    postcode: QueryText | None = None
    country: QueryCountries = ()


class AddressQuery(ClientAddressesQuery):
    """Filters of the list of addresses."""

    client_id: QueryReferences = ()
