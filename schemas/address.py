"""Bodies, answers and filters of addresses."""

from schemas.base import Create, ListQuery, Read, update_of
from schemas.fields import Key, Name100, Name200, QueryReference, QueryText, Reference, Text20


class AddressCreate(Create):
    """A new address of a client."""

    street: Name200
    number: Text20 | None = None
    city: Name100
    client_id: Reference


AddressUpdate = update_of(AddressCreate)


class AddressRead(Read):
    """An address of a client."""

    street: str
    number: str | None
    city: str
    client_id: Key


class AddressQuery(ListQuery):
    """Filters of the list of addresses."""

    client_id: QueryReference | None = None
    city: QueryText | None = None
