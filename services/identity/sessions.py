"""Sessions: one login each, which lives on by refresh tokens.

Every use of the newest token makes a new generation. A token that was replaced leads to the newest for some seconds more,
because several tabs of a browser use it at once. After that somebody else may have it: the session ends.
"""

import logging
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, text
from sqlalchemy.orm import Session

from infrastructure.cache.tags import row_tag
from models import User, UserSession
from repositories.account import AccountRepository, SessionRepository, delete_expired
from repositories.audit_trail import record
from security.refresh_token import RefreshToken, RefreshTokens
from services.base import invalidation_of
from services.idempotency import PURGE_BATCH
from services.identity.authenticator import SESSIONS, USERS
from services.identity.context import Visitor

log = logging.getLogger("shop.identity")

# So long a token works after it was replaced, by the clock of the database.
REPLACED_SECONDS = 30
# The most replacements that are known; a session has more within the seconds above only if somebody plays with it.
_MOST_REPLACEMENTS = 500
_LONGEST_DEVICE = 300


@dataclass(frozen=True, slots=True)
class RunningSession:
    """A session with its user: all that tokens are made of."""

    user_id: int
    role: str
    session_id: int
    generation: int
    began: datetime
    expires_at: datetime

    @classmethod
    def of(cls, row: UserSession, user: User) -> "RunningSession":
        return cls(user.id_key, user.role, row.id_key, row.generation, row.created_at, row.expires_at)


def begin_session(session: Session, user: User, visitor: Visitor, days: float) -> RunningSession:
    """A new session of the locked user."""
    device = visitor.device[:_LONGEST_DEVICE] if visitor.device else None
    row = UserSession(user_id=user.id_key, device=device, address=visitor.address)
    row.expires_at = func.now() + text(f"interval '{days * 86_400:.0f} seconds'")
    session.add(row)
    user.last_login_at = func.now()
    session.flush()
    return RunningSession.of(row, user)


def refreshed(session: Session, token: RefreshToken, tokens: RefreshTokens) -> RunningSession | None:
    """The session with its newest generation; None if the token leads to none, or has ended it just now."""
    sessions = SessionRepository(session)
    row = sessions.lock(token.session_id)
    if row is None or not tokens.is_genuine(token, row.created_at):
        return None
    now, user = sessions.now(), session.get_one(User, row.user_id)
    if not user.is_active or row.expires_at <= now:
        _end_one(session, row)
        return None
    if token.generation == row.generation:
        kept = [moment for moment in row.replaced_at if _is_recent(moment, now)]
        row.replaced_at = [*kept, now][-_MOST_REPLACEMENTS:]
        row.generation += 1
        session.flush()
    elif not _was_replaced_lately(row, token.generation, now):
        log.warning(
            "A refresh token was used long after its successor: the session has ended",
            extra={"user_id": user.id_key, "session_id": row.id_key},
        )
        _end_one(session, row)
        return None
    return RunningSession.of(row, user)


def end_session(session: Session, user_id: int, session_id: int) -> bool:
    """End one session of the user; whether there was such a session."""
    ended = SessionRepository(session).end(user_id, only=session_id)
    _forget(session, user_id, ended)
    return bool(ended)


def end_sessions(session: Session, user_id: int, but: int | None = None) -> None:
    """End all sessions of the user, or all but one. Whoever disables a user or sets a new password does it."""
    # One after the other: two at once would lock the sessions in different orders.
    AccountRepository(session).lock(user_id)
    _forget(session, user_id, SessionRepository(session).end(user_id, but=but))


def purge_sessions(session: Session) -> int:
    """Delete sessions that have expired, at most `PURGE_BATCH`; how many there were."""
    return delete_expired(session, UserSession, PURGE_BATCH)


def user_has_changed(session: Session, user_id: int) -> None:
    """Let every worker ask again about the user, once this transaction is committed."""
    invalidation_of(session).tags.add(row_tag(USERS, user_id))


def _end_one(session: Session, row: UserSession) -> None:
    end_session(session, row.user_id, row.id_key)


def _forget(session: Session, user_id: int, session_ids: Collection[int]) -> None:
    invalidation_of(session).tags.update(row_tag(SESSIONS, session_id) for session_id in session_ids)
    record(session, SESSIONS, ((session_id, {"user_id": (user_id, None)}) for session_id in session_ids))


def _was_replaced_lately(row: UserSession, generation: int, now: datetime) -> bool:
    # The last time is when the generation before the newest was replaced.
    place = generation - row.generation
    return place < 0 and -place <= len(row.replaced_at) and _is_recent(row.replaced_at[place], now)


def _is_recent(moment: datetime, now: datetime) -> bool:
    return now - moment <= timedelta(seconds=REPLACED_SECONDS)
