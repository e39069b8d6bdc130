"""Rules of clients."""

from typing import Any

from models import Client
from models.text_key import email_key
from repositories.client import ClientRepository
from services.bulk import BulkService


class ClientService(BulkService[Client]):
    thing, resource = "Client", "clients"
    repository_type = ClientRepository

    @classmethod
    def complete(cls, values: dict[str, Any]) -> None:
        if "email" in values:
            values["email_key"] = email_key(values["email"])
