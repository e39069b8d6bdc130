"""Routes of clients."""

from controllers.bulk import BulkController
from schemas.client import ClientCreate, ClientQuery, ClientRead, ClientUpdate
from security.policy import needs
from services.client import ClientService


class ClientController(BulkController):
    reads, writes = needs("clients:read", or_own=True), needs("clients:write")
    policies = {"PATCH": needs("clients:write", or_own=True)}
    service = ClientService
    create_schema, update_schema = ClientCreate, ClientUpdate
    read_schema, query_schema = ClientRead, ClientQuery
    example = {
        "name": "Ada",
        "lastname": "Lovelace",
        "email": "ada@example.com",
        "telephone": "+442071234567",
        "language": "en",
        "notify": {"sms": False, "mail": True, "push": True},
    }
