"""Rules of addresses: whose they are stays, and of those of a client at most one is the default."""

from typing import Any

from config.settings import get_settings
from models import Address
from repositories.address import AddressRepository
from repositories.audit_trail import record
from repositories.client import ClientRepository
from services.base import BaseService
from services.client import ClientService
from services.declared_errors import refuses
from services.errors import Conflict
from services.event_writing import tell_of_orders
from services.preconditions import UNCONDITIONAL, Preconditions


class AddressService(BaseService[Address]):
    """Locks the client before an address of theirs becomes the default, so that one after the other does."""

    thing, resource = "Address", "addresses"
    repository_type = AddressRepository
    references = {"client_id": ClientService}

    @classmethod
    def takes_more_than_an_insert(cls, values: dict[str, Any]) -> bool:
        return bool(values.get("is_default"))

    @classmethod
    def complete_new(cls, values: dict[str, Any]) -> None:
        values.setdefault("country", get_settings().shop_country)

    def before_create(self, values: dict[str, Any]) -> None:
        if values.get("is_default"):
            self._lock_client(values["client_id"])
            self._clear_default(values["client_id"])

    def update(self, row_id: int, changes: dict[str, Any], conditions: Preconditions = UNCONDITIONAL) -> Address:
        if changes.get("is_default"):
            found = self.row_query(row_id, ("client_id",), self.owned_by(self.principal))(self.session)
            self._lock_client(found.client_id)
        return super().update(row_id, changes, conditions)

    @refuses(Conflict)
    def before_update(self, row: Address, changes: dict[str, Any]) -> None:
        if "client_id" in changes:
            self._lock_references(changes)
            raise Conflict(f"The client_id of address {row.id_key} is fixed")
        if changes.get("is_default"):
            self._clear_default(row.client_id)

    def before_delete(self, row: Address) -> None:
        tell_of_orders(self.session, AddressRepository(self.session).forget_in_orders(row.id_key))

    # -- the parts ---------------------------------------------------------------------------------

    def _lock_client(self, client_id: int) -> None:
        """Lock the client, if there is one."""
        ClientRepository(self.session).lock(client_id)

    def _clear_default(self, client_id: int) -> None:
        cleared = AddressRepository(self.session).clear_default(client_id)
        record(self.session, self.resource, ((row_id, {"is_default": (True, False)}) for row_id in cleared))
