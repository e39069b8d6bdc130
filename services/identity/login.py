"""Logins: a name and a password for a session, and a refresh token for the next pair of tokens.

A name that nobody has, a wrong password and a disabled user take the same steps, and so the same time.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy.orm import Session

from models import User
from repositories.account import AccountRepository
from security.credentials import Credentials
from security.principal import Principal
from security.refresh_token import RefreshToken, RefreshTokens
from security.scopes import SCOPES_OF, Role
from services.declared_errors import refuses
from services.identity.context import AccountContext, Visitor
from services.identity.errors import InvalidCredentials, TokenInvalid, Unauthorized
from services.identity.sessions import RunningSession, begin_session, end_session, refreshed


@dataclass(frozen=True, slots=True)
class TokenPair:
    """An access token, which lives for so many seconds, and the refresh token, which lives until the session ends."""

    access_token: str
    expires_in: int
    refresh_token: str
    session_expires_at: datetime


class LoginService:
    """Begins, continues and ends sessions."""

    def __init__(self, context: AccountContext) -> None:
        self._context = context

    @refuses(InvalidCredentials)
    async def login(self, name: str, password: str, visitor: Visitor) -> TokenPair:
        """The tokens of a new session. Raises `InvalidCredentials`, `RateLimited` or `Unavailable`."""
        context = self._context
        await context.limits.login_address(visitor.address)
        await context.limits.login(visitor.address, name)
        found = await context.executor.read(partial(_by_login, name=name))
        is_right = await context.passwords.is_right(password, None if found is None else found.password_hash)
        if found is None or not is_right or not self._may_log_in(found):
            raise InvalidCredentials
        stronger = await self._rehashed(password, found.password_hash)
        running = await context.executor.transact(partial(self._begin, found, stronger, visitor))
        if running is None:
            raise InvalidCredentials
        return self._pair(running)

    @refuses(TokenInvalid)
    async def refresh(self, refresh_token: str, address: str) -> TokenPair:
        """The next tokens of the session. Raises `TokenInvalid`, and then ends a session whose old token was used again."""
        await self._context.limits.refresh(address)
        token = RefreshToken.read(refresh_token)
        if token is None:
            raise TokenInvalid
        tokens = RefreshTokens(self._context.key_ring())
        running = await self._context.executor.transact(lambda session: refreshed(session, token, tokens))
        if running is None:
            raise TokenInvalid
        return self._pair(running)

    async def end(self, principal: Principal) -> None:
        """End the session of the caller, on every worker."""
        user_id, session_id = principal.id, principal.session_id
        assert user_id is not None
        assert session_id is not None
        await self._context.executor.transact(lambda session: end_session(session, user_id, session_id))

    async def end_by_token(self, refresh_token: str) -> bool:
        """End the session of a refresh token; whether the token led to one."""
        token = RefreshToken.read(refresh_token)
        if token is None:
            return False
        tokens = RefreshTokens(self._context.key_ring())

        def work(session: Session) -> bool:
            running = refreshed(session, token, tokens)
            return running is not None and end_session(session, running.user_id, running.session_id)

        return await self._context.executor.transact(work)

    async def validate(self, access_token: str) -> tuple[Principal, int] | None:
        """Who an access token belongs to, and until when it is valid; None if it is not valid now."""
        authenticator = self._context.authenticator
        try:
            claims = authenticator.verify(access_token)
            return await authenticator.authenticate(Credentials(token=access_token)), claims.expires_at
        except Unauthorized:
            return None

    # -- parts of `login` --------------------------------------------------------------------------

    def _may_log_in(self, user: Any) -> bool:
        must_be_verified = self._context.settings.registration == "verify" and user.role == Role.CUSTOMER
        return user.is_active and not (must_be_verified and user.email_verified_at is None)

    async def _rehashed(self, password: str, stored: str) -> str | None:
        passwords = self._context.passwords
        return await passwords.hashed(password) if passwords.is_outdated(stored) else None

    def _begin(self, found: Any, stronger: str | None, visitor: Visitor, session: Session) -> RunningSession | None:
        user: User | None = AccountRepository(session).lock(found.id_key)
        if user is None or user.password_hash != found.password_hash or not self._may_log_in(user):
            return None
        if stronger is not None:
            user.password_hash = stronger
        return begin_session(session, user, visitor, self._context.settings.session_days)

    def _pair(self, running: RunningSession) -> TokenPair:
        tokens = self._context.access_tokens()
        refresh = RefreshTokens(self._context.key_ring())
        return TokenPair(
            tokens.issue(running.user_id, running.session_id, SCOPES_OF[Role(running.role)]),
            tokens.seconds,
            refresh.issue(running.session_id, running.generation, running.began),
            running.expires_at,
        )


def _by_login(session: Session, name: str) -> Any | None:
    return AccountRepository(session).by_login(name)
