"""Queries about users as they log in: by name or address, with their sessions and the tokens of mails."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import and_, bindparam, delete, func, select
from sqlalchemy.orm import Session

from models import AccountToken, Client, User, UserSession
from models.text_key import email_key, text_key
from repositories.base import BaseRepository, is_key


class AccountRepository(BaseRepository[User]):
    """Users, one at a time."""

    model = User

    def by_login(self, text: str) -> Any | None:
        """The user with this name or e-mail address, in any spelling."""
        is_theirs = User.email_key == email_key(text) if "@" in text else func.text_key(User.username) == text_key(text)
        return self.session.execute(
            select(
                User.id_key,
                User.username,
                User.email,
                User.full_name,
                User.password_hash,
                User.role,
                User.is_active,
                User.email_verified_at,
            ).where(is_theirs)
        ).first()

    def is_name_taken(self, username: str) -> bool:
        """Whether a user has this name, in any spelling."""
        wanted = select(User.id_key).where(func.text_key(User.username) == text_key(username))
        return self.session.scalar(wanted) is not None

    def holder_of(self, client_id: int) -> int | None:
        """The user who is this client."""
        return self.session.scalar(select(User.id_key).where(User.client_id == client_id))

    def client_at(self, email: str) -> int | None:
        """The client with this e-mail address, who stays until the transaction ends."""
        wanted = select(Client.id_key).where(Client.email_key == email_key(email))
        return self.session.scalar(wanted.with_for_update(read=True, key_share=True))


class SessionRepository(BaseRepository[UserSession]):
    """Sessions that have not ended."""

    model = UserSession
    filters = {
        "user_id": and_(UserSession.user_id == bindparam("user_id"), UserSession.expires_at > func.now()),
    }

    def now(self) -> Any:
        """The time by the clock of the database, also after a wait for a lock."""
        return self.session.scalar(select(func.clock_timestamp()))

    def end(self, user_id: int, *, only: int | None = None, but: int | None = None) -> list[int]:
        """Delete the sessions of the user, or one of them, or all but one; the keys of those that were there."""
        statement = delete(UserSession).where(UserSession.user_id == user_id).returning(UserSession.id_key)
        if only is not None:
            statement = statement.where(UserSession.id_key == only)
        if but is not None:
            statement = statement.where(UserSession.id_key != but)
        if only is not None and not is_key(only):
            return []
        return list(self.session.scalars(statement))


class AccountTokenRepository(BaseRepository[AccountToken]):
    """Tokens that mails have brought to people."""

    model = AccountToken

    def find(self, secret_hash: bytes, purposes: Collection[str]) -> Any | None:
        """The token with this hash for one of the purposes, if it has not expired."""
        return self.session.execute(
            select(AccountToken.id_key, AccountToken.user_id, AccountToken.purpose, AccountToken.email).where(
                AccountToken.secret_hash == secret_hash,
                AccountToken.purpose.in_(purposes),
                AccountToken.expires_at > func.now(),
            )
        ).first()

    def use_up(self, token_id: int) -> bool:
        """Delete the token; whether it was there, which it is for one transaction only."""
        statement = delete(AccountToken).where(AccountToken.id_key == token_id).returning(AccountToken.id_key)
        return self.session.scalar(statement) is not None

    def drop(self, user_id: int, purpose: str) -> None:
        """Delete all tokens of the user for this purpose."""
        self.session.execute(
            delete(AccountToken).where(AccountToken.user_id == user_id, AccountToken.purpose == purpose)
        )


def delete_expired(session: Session, model: type[UserSession] | type[AccountToken], batch: int) -> int:
    """Delete at most `batch` rows whose time is over; how many there were."""
    old = (
        select(model.id_key)
        .where(model.expires_at < func.now())
        .order_by(model.expires_at)
        .limit(batch)
        .with_for_update(skip_locked=True)
    )
    return len(session.scalars(delete(model).where(model.id_key.in_(old)).returning(model.id_key)).all())
