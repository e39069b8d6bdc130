"""Queries on users."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import bindparam, delete, exists, func, or_, select

from models import AccountToken, Order, User, UserSession
from models.text_key import email_key
from repositories.base import BaseRepository
from repositories.event_writing import Told
from repositories.query.filters import by_value, same
from schemas.user import UserRead
from security.scopes import Role

# Whoever takes one of the administrators away holds this lock until the end of the transaction.
_ADMINISTRATORS_LOCK = 7_240_121


class UserRepository(BaseRepository[User]):
    model = User
    told = Told(User, UserRead, "user", {"created": "registered"})
    filters = {
        **by_value(role=User.role, client_id=User.client_id),
        "username": same(User.username, "username"),
        # `UserQuery` has turned the address into its key.
        "email": User.email_key == bindparam("email"),
        "is_active": User.is_active == bindparam("is_active"),
    }

    def have_administrator_beside(self, user_ids: Iterable[int]) -> bool:
        """Whether there is an active administrator beside these users; it stays so until the transaction ends."""
        self.session.execute(select(func.pg_advisory_xact_lock(_ADMINISTRATORS_LOCK)))
        # A statement of its own: it sees what was committed while this transaction waited for the lock.
        others = select(User.id_key).where(
            User.role == Role.ADMIN.value, User.is_active, User.id_key.not_in(list(user_ids))
        )
        return bool(self.session.scalar(select(exists(others))))

    def have_orders(self, client_ids: Collection[int]) -> set[int]:
        """Those of the clients that have orders."""
        return self.referred_to(Order.__table__.c.client_id, list(client_ids))

    def end_sessions(self, user_ids: Sequence[int]) -> int:
        """End all sessions of these users; how many there were."""
        return self._forget(UserSession, user_ids)

    def forget_tokens(self, user_ids: Sequence[int]) -> None:
        """Make the tokens worthless that these users have been sent by mail."""
        self._forget(AccountToken, user_ids)

    def named(self, name: str) -> User | None:
        """The user with this user name or e-mail address, locked."""
        is_meant = or_(same(User.username, "name"), User.email_key == bindparam("email"))
        found = self.session.scalar(select(User.id_key).where(is_meant), {"name": name, "email": email_key(name)})
        return None if found is None else self.lock(found)

    def all(self) -> Sequence[User]:
        """All users, in the order of their keys."""
        return self.session.scalars(select(User).order_by(User.id_key)).all()

    def _forget(self, model: type[Any], user_ids: Sequence[int]) -> int:
        ended = delete(model).where(model.user_id == func.any(bindparam("users"))).returning(model.id_key)
        unsynchronized = ended.execution_options(synchronize_session=False)
        return len(self.session.execute(unsynchronized, {"users": list(user_ids)}).all())
