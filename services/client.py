"""Rules of clients."""

from typing import Any

from models import Client
from models.client import email_key
from repositories.client import ClientRepository
from services.base import BaseService


class ClientService(BaseService[Client]):
    thing, resource = "Client", "clients"
    repository_type = ClientRepository
    unique = {"email_key": "email"}

    def before_create(self, values: dict[str, Any]) -> None:
        values["email_key"] = email_key(values["email"])

    def before_update(self, row: Client, changes: dict[str, Any]) -> None:
        if "email" in changes:
            changes["email_key"] = email_key(changes["email"])
