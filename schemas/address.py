"""Bodies, responses and filters of addresses."""

from typing import ClassVar

from pydantic import BaseModel, Field

from schemas.base import Create, ListQuery, Read, update_of
from schemas.field_types import Key, Name100, Name200, OrNull, Reference, Text20
from schemas.query_types import QueryReferences, QueryText


class AddressCreate(Create):
    """A new address of a client."""

    street: Name200
    number: OrNull[Text20] = None
    city: Name100
    client_id: Reference = Field(description="Customers may leave it out: it is their own")


AddressUpdate = update_of(AddressCreate)


class AddressRead(Read):
    """An address of a client."""

    street: str = Field(max_length=200)
    number: str | None = Field(max_length=20)
    city: str = Field(max_length=100)
    client_id: Key


class ClientAddressesQuery(ListQuery):
    """Filters of the addresses of one client."""

    row: ClassVar[type[BaseModel]] = AddressRead

    city: QueryText | None = None


class AddressQuery(ClientAddressesQuery):
    """Filters of the list of addresses."""

    client_id: QueryReferences = ()
