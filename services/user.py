"""Rules of users: there is always an administrator, and what changes about a user holds at their next request."""

from collections.abc import Mapping, Sequence
from typing import Any

from infrastructure.cache.tags import row_tag
from models import User
from models.text_key import email_key
from repositories.user import UserRepository
from security.scopes import SCOPES_OF, Role
from services.base import invalidation_of
from services.bulk import BulkService, Change, at_place
from services.client import ClientService
from services.declared_errors import refuses
from services.identity.audit import record_one
from services.identity.errors import Forbidden, LastAdministrator, UserHasOrders

# What a user who is deleted is no longer.
_GONE = {"is_active": False}
# By these somebody becomes able to log in with the role of a user.
_LETS_IN = frozenset({"role", "email", "password_hash"})


class UserService(BulkService[User]):
    """Passwords arrive here as their hashes: see `services.identity.new_passwords`."""

    thing, resource = "User", "users"
    repository_type = UserRepository
    references = {"client_id": ClientService}
    defaults = {"role": Role.CUSTOMER.value, "is_active": True}

    @property
    def users(self) -> UserRepository:
        """The repository, with its queries."""
        assert isinstance(self.repository, UserRepository)
        return self.repository

    @classmethod
    def complete(cls, values: dict[str, Any]) -> None:
        if "email" in values:
            values["email_key"] = email_key(values["email"])

    @refuses(Forbidden)
    def before_create(self, values: dict[str, Any]) -> None:
        self._require_scopes_of(values.get("role", self.defaults["role"]))

    @refuses(LastAdministrator, Forbidden)
    def before_update(self, row: User, changes: dict[str, Any]) -> None:
        self._require_grantable(row, changes)
        if _leaves(row, changes):
            self._require_administrator_beside([row])
        self._follow([(row, changes)])

    def before_updates(self, changes: Sequence[Change[User]]) -> None:
        for change in changes:
            with at_place(change.place):
                self._require_grantable(change.row, change.values)
        leaving = [change for change in changes if _leaves(change.row, change.values)]
        if leaving:
            with at_place(leaving[0].place):
                self._require_administrator_beside([change.row for change in leaving])
        self._follow([(change.row, change.values) for change in changes])

    @refuses(LastAdministrator, UserHasOrders)
    def before_delete(self, row: User) -> None:
        if self._buyers([row]):
            raise UserHasOrders(row.id_key)
        if _leaves(row, _GONE):
            self._require_administrator_beside([row])

    def before_deletes(self, rows: Sequence[User]) -> None:
        buyers = self._buyers(rows)
        for place, row in enumerate(rows):
            if row.id_key in buyers:
                raise UserHasOrders(row.id_key).at(place, "id_key")
        leaving = [place for place, row in enumerate(rows) if _leaves(row, _GONE)]
        if leaving:
            with at_place(leaving[0]):
                self._require_administrator_beside([rows[place] for place in leaving])

    def end_sessions(self, row: User) -> int:
        """End all sessions of a locked user; how many there were."""
        ended = self.users.end_sessions([row.id_key])
        self.has_changed(row)
        record_one(self.session, row, {"sessions": (ended, 0)})
        return ended

    def has_changed(self, row: User) -> None:
        super().has_changed(row)
        invalidation_of(self.session).tags.add(row_tag(self.resource, row.id_key))

    def was_removed(self, row: User) -> None:
        super().was_removed(row)
        invalidation_of(self.session).tags.add(row_tag(self.resource, row.id_key))

    def _require_grantable(self, row: User, changes: Mapping[str, Any]) -> None:
        """Refuse to let somebody in as a user who may do more than the principal may."""
        if not _LETS_IN.isdisjoint(changes) or changes.get("is_active"):
            self._require_scopes_of(row.role)
            self._require_scopes_of(changes.get("role", row.role))

    def _require_scopes_of(self, role: str) -> None:
        missing = sorted(SCOPES_OF[Role(role)] - self.principal.scopes)
        if missing:
            raise Forbidden(missing[0], f"Nobody grants a scope that they do not have: {missing[0]}")

    def _require_administrator_beside(self, leaving: Sequence[User]) -> None:
        if not self.users.have_administrator_beside([row.id_key for row in leaving]):
            raise LastAdministrator

    def _buyers(self, rows: Sequence[User]) -> set[int]:
        """The keys of those users who have orders of their own."""
        clients = self.users.have_orders([row.client_id for row in rows if row.client_id is not None])
        return {row.id_key for row in rows if row.client_id in clients}

    def _follow(self, changes: Sequence[tuple[User, dict[str, Any]]]) -> None:
        """End what must not outlive the changes: sessions, and the tokens in mails that were sent before."""
        locked_out = [row.id_key for row, new in changes if "password_hash" in new or new.get("is_active") is False]
        if locked_out:
            self.users.end_sessions(locked_out)
        # Another spelling of the same address has the same key.
        moved = [row.id_key for row, new in changes if "email_key" in new]
        if locked_out or moved:
            self.users.forget_tokens([*locked_out, *moved])
        for row, new in changes:
            if row.id_key in moved:
                new["email_verified_at"] = None


def _leaves(row: User, changes: Mapping[str, Any]) -> bool:
    """Whether an active administrator is one no longer."""
    is_one = row.is_active and row.role == Role.ADMIN
    stays_one = changes.get("is_active", row.is_active) and changes.get("role", row.role) == Role.ADMIN
    return is_one and not stays_one
