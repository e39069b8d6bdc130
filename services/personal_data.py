"""Personal data of a client: all of it for them (GDPR, article 15), and erased on their demand (article 17).

What is personal is said in `models.personal_data`. An erasure leaves the client with its key and without a name, so that
orders and bills stay complete. Documents keep where they went until RETENTION_YEARS are over: the law wants them kept, which
comes before the demand (article 17, paragraph 3 b).
"""

import json
from decimal import Decimal
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from models import Client, User
from models.client import EVERY_CHANNEL, Language
from repositories.client import ClientRepository
from repositories.personal_data import PersonalDataRepository
from services.client import ClientService
from services.errors import NotFound
from services.event_writing import tell_of_orders, tell_of_reviews
from services.user import UserService

# What is left of a client. Nobody gets mail at a name that ends so (RFC 2606).
_NOBODY = "Erased"


class NotOwner(Exception):
    """The role may not change the audit trail; the message says what to do in one line."""


class PersonalDataService:
    """The personal data of one client."""

    def __init__(self, session: Session, client_id: int) -> None:
        self._session, self._client_id = session, client_id
        self._rows = PersonalDataRepository(session, client_id)

    def export(self) -> dict[str, list[dict[str, Any]]]:
        """Everything that the shop knows of the client: the rows of each table. Raises `NotFound`."""
        self._require_client()
        return {
            table: [json.loads(row, parse_float=Decimal) for row in rows] for table, rows in self._rows.export() if rows
        }

    def erase(self, years: int) -> dict[str, int]:
        """Erase it; how many rows of what were erased. A second time nothing is left to do. Raises `NotFound`, `NotOwner`.

        Documents that are younger than so many `years` keep what the law wants to be kept.
        """
        if not self._rows.may_write_the_trail():
            raise NotOwner("This role may not change the audit trail: run it as the role that owns the tables")
        clients = ClientService(self._session)
        client = clients.lock(self._client_id)
        erased = {"documents that need not be kept": self._rows.erase_documents(years)}
        # Mails are found by the address that is erased next.
        for table in ("notifications", "outgoing_mails", "account_tokens", "user_sessions"):
            erased[table] = self._rows.erase_rows(table)
        # Reviews are told of before they are nobody's, while the client is known by whom they are found.
        self._rows.erase_comments()
        clients.update_locked(client, self._placeholders())
        copies = self._rows.scrub_copies()
        repository = ClientRepository(self._session)
        reviews = repository.forget_in_reviews([self._client_id])
        tell_of_reviews(self._session, "updated", reviews)
        tell_of_orders(self._session, repository.forget_in_orders([self._client_id]))
        erased |= {"addresses": self._rows.erase_rows("addresses"), "reviews": len(reviews)}
        erased["users"] = self._erase_user()
        # Once more: what was told of it meanwhile has copied nothing, unless a document is kept.
        again = self._rows.scrub_copies()
        return erased | {name: count + again[name] for name, count in copies.items()}

    def _erase_user(self) -> int:
        user = self._session.scalars(select(User).where(User.client_id == self._client_id)).one_or_none()
        if user is None:
            return 0
        users = UserService(self._session)
        # Ends what they are remembered by, on every worker.
        users.update_locked(users.lock(user.id_key), {"is_active": False})
        self._rows.scrub_copies()
        self._session.delete(user)
        self._session.flush()
        users.was_removed(user)
        return 1

    def _placeholders(self) -> dict[str, Any]:
        address = f"erased-{self._client_id}@erased.invalid"
        # Nobody is told anything any more.
        silent = dict.fromkeys(EVERY_CHANNEL, False)
        language = Language.ENGLISH.value
        person = {"name": _NOBODY, "lastname": _NOBODY, "email": address, "telephone": None}
        return {**person, "language": language, "notify": silent}

    def _require_client(self) -> None:
        if self._session.get(Client, self._client_id) is None:
            raise NotFound(ClientService.thing, self._client_id)
