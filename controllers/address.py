"""Routes of addresses."""

from controllers.base import BaseController
from schemas.address import AddressCreate, AddressQuery, AddressRead, AddressUpdate
from services.address import AddressService


class AddressController(BaseController):
    service = AddressService
    create_schema, update_schema = AddressCreate, AddressUpdate
    read_schema, query_schema = AddressRead, AddressQuery
    example = {"street": "High Street", "number": "12b", "city": "London", "client_id": 1}
