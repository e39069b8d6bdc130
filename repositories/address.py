"""Queries on addresses."""

from collections.abc import Sequence

from sqlalchemy import update

from models import Address, Order
from repositories.base import BaseRepository
from repositories.query.filters import by_value, same
from repositories.query.json_objects import json_object
from schemas.address import ShipTo

# What orders keep of an address; and its SQL, of a row of the table.
SHIP_TO_FIELDS = tuple(ShipTo.model_fields)
SHIP_TO = f"{json_object(Address, ShipTo)}::json"


class AddressRepository(BaseRepository[Address]):
    model = Address
    owner = "client_id"
    filters = {
        **by_value(client_id=Address.client_id, country=Address.country),
        "city": same(Address.city, "city"),
        "postcode": same(Address.postcode, "postcode"),
    }

    def clear_default(self, client_id: int) -> Sequence[int]:
        """Make no address of the client the default: the keys of those that were. Lock the client first."""
        cleared = update(Address).where(Address.client_id == client_id, Address.is_default).values(is_default=False)
        return self.session.scalars(cleared.returning(Address.id_key)).all()

    def forget_in_orders(self, address_id: int) -> Sequence[int]:
        """Remove the address from the orders that have it, which are changed by this: their keys."""
        forgotten = update(Order).where(Order.address_id == address_id).values(address_id=None)
        return sorted(self.session.scalars(forgotten.returning(Order.id_key)))
