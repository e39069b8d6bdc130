"""Profile: what users see and change of themselves."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from sqlalchemy.orm import Session

from models import User
from models.account_token import TokenPurpose
from models.text_key import email_key
from repositories.account import AccountRepository, SessionRepository
from repositories.query.bound_query import Query
from schemas.base import ListQuery, Page
from security.principal import Principal
from services.base import BaseService, require_sortable
from services.declared_errors import refuses
from services.errors import AlreadyExists, HasChanged, InvalidField, NotFound, PreconditionFailed
from services.identity.account_tokens import drop_tokens, send_token
from services.identity.audit import record_one
from services.identity.context import AccountContext, Visitor
from services.identity.errors import TokenInvalid
from services.identity.outgoing_mail import send_later
from services.identity.registration import require_strong
from services.identity.sessions import end_session, end_sessions, user_has_changed
from services.preconditions import Preconditions

# What a body may hold as it is stored, because a GET shows it, but not change.
NOT_OWN = frozenset({"role", "is_active", "client_id", "email_verified_at"})


class OwnRow(BaseService[User]):
    """The row of a user as the user may change it."""

    thing, resource = "User", "users"
    repository_type = AccountRepository

    def before_update(self, row: User, changes: dict[str, Any]) -> None:
        for name in sorted(NOT_OWN & changes.keys()):
            raise InvalidField(("body", name), "is for administrators to change")

    def lock(self, row_id: int) -> User:
        user = self.repository.lock(row_id)
        if user is None:
            # Deleted in this moment, and the session with the user.
            raise TokenInvalid
        return user

    def has_changed(self, row: User) -> None:
        user_has_changed(self.session, row.id_key)


class ProfileService:
    """The profile and the sessions of one user, who is logged in."""

    def __init__(self, context: AccountContext, principal: Principal) -> None:
        self._context, self._principal = context, principal
        assert principal.id is not None
        self._user_id = principal.id

    async def row(self, fields: tuple[str, ...]) -> dict[str, Any]:
        """The named columns of the user."""
        try:
            row = await self._context.executor.read(OwnRow.row_query(self._user_id, fields))
        except NotFound:
            raise TokenInvalid from None
        return dict(zip(fields, row, strict=True))

    @refuses(AlreadyExists, HasChanged, PreconditionFailed)
    async def change(self, values: Mapping[str, Any], conditions: Preconditions, visitor: Visitor) -> User:
        """The user with these values; a new address waits for its mail, and a new password ends all other sessions.

        Raises `InvalidField` for what the user may not change, a weak password, or a wrong `current_password`.
        """
        known = stored = None
        if "password" in values:
            known = await self._confirmed(values, visitor)
            stored = await self._context.passwords.hashed(values["password"])
        return await self._context.executor.transact(partial(self._change, values, conditions, known, stored))

    async def _confirmed(self, values: Mapping[str, Any], visitor: Visitor) -> str | None:
        """The stored hash of the password, which the user has confirmed."""
        if "current_password" not in values:
            raise InvalidField(("body", "current_password"), "is needed for a new password", "missing")
        user = await self.row(("username", "email", "full_name", "password_hash"))
        names = [values.get(name) or user[name] for name in ("username", "full_name")]
        require_strong(values["password"], [*names, user["email"], values.get("email")])
        # Who has found a token must not try passwords without a bound.
        await self._context.limits.login(visitor.address, user["username"])
        if not await self._context.passwords.is_right(values["current_password"], user["password_hash"]):
            raise InvalidField(("body", "current_password"), "is not the password of this user")
        known: str | None = user["password_hash"]
        return known

    def _change(
        self,
        values: Mapping[str, Any],
        conditions: Preconditions,
        known: str | None,
        stored: str | None,
        session: Session,
    ) -> User:
        rows = OwnRow(session)
        user = rows.lock(self._user_id)
        changes = {name: value for name, value in values.items() if name not in _NOT_COLUMNS}
        rows.update_locked(user, changes, conditions)
        if stored is not None:
            if user.password_hash != known:
                raise HasChanged("User", user.id_key)
            self._set_password(session, user, stored)
        if values.get("email", user.email) != user.email:
            self._ask_for_address(session, user, values["email"])
        return user

    def _set_password(self, session: Session, user: User, stored: str) -> None:
        user.password_hash = stored
        session.flush()
        # Without a field: it says that there was a change.
        record_one(session, user, {})
        end_sessions(session, user.id_key, but=self._principal.session_id)
        drop_tokens(session, user, TokenPurpose.RESET_PASSWORD)
        send_later(session, "password_changed", user.email, {"username": user.username})

    def _ask_for_address(self, session: Session, user: User, email: str) -> None:
        drop_tokens(session, user, TokenPurpose.CHANGE_EMAIL)
        holder = AccountRepository(session).by_login(email)
        if holder is not None and email_key(email) != user.email_key:
            # Only the owner of the address learns that it is taken.
            send_later(session, "address_taken", holder.email, {"username": holder.username})
            return
        send_token(session, self._context.key_ring(), user, TokenPurpose.CHANGE_EMAIL, email)
        send_later(session, "email_change_asked", user.email, {"username": user.username})

    # -- sessions ----------------------------------------------------------------------------------

    @staticmethod
    def sortable_sessions(fields: tuple[str, ...]) -> list[str]:
        """The columns by which the list of sessions can be ordered."""
        return [name for name in SessionRepository.sortable() if name in fields]

    def sessions(self, query: ListQuery, fields: tuple[str, ...]) -> Query[Page]:
        """The page of the user's sessions that `query` asks for."""
        require_sortable(SessionRepository, query, fields)
        return SessionRepository.page_query(query, fields, user_id=self._user_id)

    async def end_session(self, session_id: int) -> None:
        """End one session of the user. Raises `NotFound` for any other."""
        if not await self._context.executor.transact(lambda session: end_session(session, self._user_id, session_id)):
            raise NotFound("Session", session_id)

    async def end_sessions(self) -> None:
        """End all sessions of the user, this one too."""
        await self._context.executor.transact(lambda session: end_sessions(session, self._user_id))


_NOT_COLUMNS = frozenset({"email", "password", "current_password"})
