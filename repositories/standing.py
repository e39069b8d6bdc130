"""Which users and keys still stand: what a worker asks of the database before it believes a token or a key."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from infrastructure.database.prepared import Prepared
from models import ApiKey, User, UserSession

ANY_ADMINISTRATOR = Prepared("any_administrator", "SELECT FROM users WHERE role = 'admin' AND is_active LIMIT 1")


def standing_sessions(session: Session, ids: Iterable[int]) -> Sequence[Any]:
    """For each of these sessions that has not ended, it and its active user."""
    return session.execute(
        select(
            UserSession.id_key,
            UserSession.expires_at,
            User.id_key.label("user_id"),
            User.username,
            User.role,
            User.client_id,
            User.email_verified_at,
        )
        .join(User, User.id_key == UserSession.user_id)
        .where(UserSession.id_key.in_(list(ids)), UserSession.expires_at > func.now(), User.is_active)
    ).all()


def keys_by_hash(session: Session, hashes: Iterable[bytes]) -> Sequence[Any]:
    """The API keys with these hashes, and whether each is still valid."""
    valid = or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > func.now())
    return session.execute(
        select(
            ApiKey.id_key,
            ApiKey.secret_hash,
            ApiKey.name,
            ApiKey.scopes,
            ApiKey.expires_at,
            valid.label("is_valid"),
        ).where(ApiKey.secret_hash.in_(list(hashes)))
    ).all()
