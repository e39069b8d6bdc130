"""Routes of addresses."""

from controllers.base import BaseController
from controllers.nested_list import NestedList
from schemas.address import AddressCreate, AddressQuery, AddressRead, AddressUpdate, ClientAddressesQuery
from security.policy import needs
from services.address import AddressService
from services.client import ClientService


class AddressController(BaseController):
    reads, writes = needs("clients:read", or_own=True), needs("clients:write", or_own=True)
    service = AddressService
    create_schema, update_schema = AddressCreate, AddressUpdate
    read_schema, query_schema = AddressRead, AddressQuery
    nested = NestedList(ClientService, "client_id", ClientAddressesQuery)
    example = {
        "recipient": "Ada Lovelace",
        "street": "High Street",
        "number": "12b",
        "city": "London",
        "postcode": "N1 9GU",
        "region": None,
        "country": "GB",
        "telephone": "+442071234567",
        "is_default": True,
        "client_id": 1,
    }
