"""Rules of clients."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from models import Client
from models.client import EVERY_CHANNEL, Language
from models.text_key import email_key
from repositories.client import ClientRepository
from services.bulk import BulkService
from services.event_writing import tell_of_orders, tell_of_reviews
from services.identity.errors import Forbidden


class ClientService(BulkService[Client]):
    thing, resource = "Client", "clients"
    repository_type = ClientRepository

    defaults: ClassVar[Mapping[str, Any]] = {"language": Language.ENGLISH.value, "notify": EVERY_CHANNEL}

    @classmethod
    def complete(cls, values: dict[str, Any]) -> None:
        if "email" in values:
            values["email_key"] = email_key(values["email"])

    def complete_change(self, row: Client, changes: dict[str, Any]) -> None:
        if "notify" in changes:
            changes["notify"] = row.notify | changes["notify"]

    def before_delete(self, row: Client) -> None:
        self.before_deletes([row])

    def before_deletes(self, rows: Sequence[Client]) -> None:
        """Tell of what changes with them: the reviews that they wrote, and orders with an address of theirs."""
        keys = [row.id_key for row in rows]
        # From now on nobody refers to them anew.
        self.repository.lock_many(keys, to_delete=True)
        clients = ClientRepository(self.session)
        tell_of_reviews(self.session, "updated", clients.forget_in_reviews(keys))
        tell_of_orders(self.session, clients.forget_in_orders(keys))

    def require_own(self, values: Mapping[str, Any]) -> None:
        """Refuse a customer's other e-mail address: it could be anybody's, and a conflict would tell that somebody has it."""
        super().require_own(values)
        if self.principal.is_customer and "email" in values:
            raise Forbidden(text="An e-mail address changes by PATCH /auth/me, after a mail to it")
