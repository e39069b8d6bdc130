"""Queries on addresses."""

from collections.abc import Sequence

from sqlalchemy import update

from models import Address, Order
from repositories.base import BaseRepository
from repositories.query.filters import by_value, same


class AddressRepository(BaseRepository[Address]):
    model = Address
    owner = "client_id"
    filters = {
        **by_value(client_id=Address.client_id),
        "city": same(Address.city, "city"),
    }

    def forget_in_orders(self, address_id: int) -> Sequence[int]:
        """Remove the address from the orders that have it, which are changed by this: their keys."""
        forgotten = update(Order).where(Order.address_id == address_id).values(address_id=None)
        return sorted(self.session.scalars(forgotten.returning(Order.id_key)))
