"""Ownership: which rows exist for a caller, and what a customer may write into theirs.

For a customer, rows of others do not exist, nor do rows that are not public for callers who are not known: a read or a
write of one is 404, and no list shows or counts it. A repository says whose its rows are, and which of them are public
(`repositories.base`); all conditions follow from that and from the principal.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from repositories.base import BaseRepository
from repositories.query.filters import EVERY_ROW, OWNER, PUBLIC, Visible
from security.principal import Principal
from services.errors import NotFound
from services.identity.errors import EmailNotVerified, Forbidden

# The client of a caller who has none: the key of no row.
_NOBODY = 0


class OwnedRows:
    """The rows of one entity as a principal sees them."""

    thing: ClassVar[str]
    repository_type: ClassVar[type[BaseRepository[Any]]]
    principal: Principal
    repository: BaseRepository[Any]

    @classmethod
    def has_owners(cls) -> bool:
        """Whether rows belong to clients."""
        return OWNER in cls.repository_type.filters

    @classmethod
    def visible_to(cls, principal: Principal) -> Visible:
        """Which rows the principal may read. It depends on nothing but the audience."""
        if principal.sees_inactive:
            return EVERY_ROW
        # Public rows are the same for all these callers, who share their cached responses.
        return {PUBLIC: True} if PUBLIC in cls.repository_type.filters else cls.owned_by(principal)

    @classmethod
    def owned_by(cls, principal: Principal) -> Visible:
        """Which rows the principal may change: a customer theirs, and others all that a policy lets them reach."""
        if principal.sees_inactive or not cls.has_owners():
            return EVERY_ROW
        return {OWNER: principal.client_id or _NOBODY}

    def require_own(self, values: Mapping[str, Any]) -> None:
        """Refuse what the principal may not write into a row of theirs: values of a new row, or real changes of one.

        Raises `Forbidden` for a row of another client.
        """
        owner = self.repository_type.owner
        if self.principal.is_customer and owner is not None and owner in values:
            require_own_client(self.principal, values[owner])

    def hold(self, row_id: int) -> None:
        """Make sure that the row exists for the principal, and stays until the transaction ends. Raises `NotFound`."""
        if not self.repository.lock_key_share([row_id], self.visible_to(self.principal)):
            raise NotFound(self.thing, row_id)


def client_of(customer: Principal) -> int:
    """The client that the customer is. Raises `EmailNotVerified` while that is not known."""
    if customer.client_id is None:
        raise EmailNotVerified
    return customer.client_id


def require_own_client(customer: Principal, client_id: int | None) -> None:
    """Raise `Forbidden` unless the client is the one that the customer is; no other is looked for."""
    if client_id != client_of(customer):
        raise Forbidden(text="The client_id must be your own")
