"""Rules of clients."""

from collections.abc import Mapping
from typing import Any

from models import Client
from models.text_key import email_key
from repositories.client import ClientRepository
from services.bulk import BulkService
from services.identity.errors import Forbidden


class ClientService(BulkService[Client]):
    thing, resource = "Client", "clients"
    repository_type = ClientRepository

    @classmethod
    def complete(cls, values: dict[str, Any]) -> None:
        if "email" in values:
            values["email_key"] = email_key(values["email"])

    def require_own(self, values: Mapping[str, Any]) -> None:
        """Refuse a customer's other e-mail address: it could be anybody's, and a conflict would tell that somebody has it."""
        super().require_own(values)
        if self.principal.is_customer and "email" in values:
            raise Forbidden(text="An e-mail address changes by PATCH /auth/me, after a mail to it")
