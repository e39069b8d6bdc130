"""Rules of addresses."""

from models import Address
from repositories.address import AddressRepository
from services.base import BaseService
from services.client import ClientService
from services.event_writing import tell_of_orders


class AddressService(BaseService[Address]):
    thing, resource = "Address", "addresses"
    repository_type = AddressRepository
    references = {"client_id": ClientService}

    def before_delete(self, row: Address) -> None:
        tell_of_orders(self.session, AddressRepository(self.session).forget_in_orders(row.id_key))
