"""Queries on clients."""

from collections.abc import Sequence

from sqlalchemy import bindparam, select, update

from models import Address, Client, Order, Review
from repositories import client_search
from repositories.base import BaseRepository
from repositories.event_writing import Told
from repositories.query.filters import same
from schemas.client import ClientRead


class ClientRepository(BaseRepository[Client]):
    model = Client
    told = Told(Client, ClientRead, "client")
    owner = "id_key"
    filters = {
        # `ClientQuery` has turned the address into its key.
        "email": Client.email_key == bindparam("email"),
        "name": same(Client.name, "name"),
        "lastname": same(Client.lastname, "lastname"),
        "q": client_search.found,
    }
    rankings = {"q": client_search.ranking}

    def forget_in_reviews(self, client_ids: Sequence[int]) -> Sequence[int]:
        """Remove the clients from the reviews that they wrote, which are changed by this: their keys."""
        forgotten = update(Review).where(Review.client_id.in_(client_ids)).values(client_id=None)
        return sorted(self.session.scalars(forgotten.returning(Review.id_key)))

    def forget_in_orders(self, client_ids: Sequence[int]) -> Sequence[int]:
        """Remove the addresses of the clients from orders, which are changed by this: their keys.

        They are orders of others, who had the addresses before.
        """
        addresses = select(Address.id_key).where(Address.client_id.in_(client_ids))
        forgotten = update(Order).where(Order.address_id.in_(addresses)).values(address_id=None)
        return sorted(self.session.scalars(forgotten.returning(Order.id_key)))
