"""What mails prove: a new password for a forgotten one, and an e-mail address that is verified or changed."""

from functools import partial

from sqlalchemy import func
from sqlalchemy.orm import Session

from models import User
from models.account_token import TokenPurpose
from models.text_key import email_key
from repositories.account import AccountRepository
from services.declared_errors import refuses
from services.errors import AlreadyExists
from services.identity.account_tokens import drop_tokens, names_by_token, send_token, used_token
from services.identity.client_link import link_client, move_client
from services.identity.context import AccountContext, Visitor
from services.identity.errors import AccountTokenInvalid
from services.identity.even_time import in_even_time
from services.identity.outgoing_mail import send_later
from services.identity.registration import require_strong
from services.identity.sessions import end_sessions, user_has_changed
from services.integrity import violations_of


class RecoveryService:
    """Sends tokens by mail, and takes them back."""

    def __init__(self, context: AccountContext) -> None:
        self._context = context

    async def forgot_password(self, email: str, visitor: Visitor) -> None:
        """Send a token to the address if a user has it. Nothing tells whether one has."""
        await self._context.limits.register(visitor.address)
        await in_even_time(self._context.executor.transact(partial(self._send_reset, email)))

    async def resend_verification(self, email: str, visitor: Visitor) -> None:
        """Send another token to the address if a user has it who is not verified. Nothing tells whether one has."""
        await self._context.limits.register(visitor.address)
        await in_even_time(self._context.executor.transact(partial(self._send_verification, email)))

    @refuses(AccountTokenInvalid)
    async def reset_password(self, token: str, password: str) -> None:
        """Set the password of the token's user, and end all their sessions.

        Raises `AccountTokenInvalid`, or `InvalidField` for a weak password, which leaves the token as it is.
        """
        executor = self._context.executor
        names = await executor.read(lambda session: names_by_token(session, token, TokenPurpose.RESET_PASSWORD))
        require_strong(password, names)
        stored = await self._context.passwords.hashed(password)
        await executor.transact(partial(self._reset, token, stored))

    @refuses(AccountTokenInvalid, AlreadyExists)
    async def verify_email(self, token: str) -> None:
        """The address that the token was sent to is the user's. Raises `AccountTokenInvalid`, `AlreadyExists`."""
        await self._context.executor.transact(partial(_verify, token))

    def _send_reset(self, email: str, session: Session) -> None:
        user = _active_user(session, email)
        if user is not None:
            send_token(session, self._context.key_ring(), user, TokenPurpose.RESET_PASSWORD, user.email)

    def _send_verification(self, email: str, session: Session) -> None:
        user = _active_user(session, email)
        if user is not None and user.email_verified_at is None:
            send_token(session, self._context.key_ring(), user, TokenPurpose.VERIFY_EMAIL, user.email)

    def _reset(self, token: str, stored: str, session: Session) -> None:
        user, _, _ = used_token(session, token, TokenPurpose.RESET_PASSWORD)
        user.password_hash = stored
        # Only who reads the mails to the address has the token.
        _is_verified(session, user)
        end_sessions(session, user.id_key)
        drop_tokens(session, user, TokenPurpose.RESET_PASSWORD, TokenPurpose.CHANGE_EMAIL)
        send_later(session, "password_changed", user.email, {"username": user.username})


def _active_user(session: Session, email: str) -> User | None:
    """The user with this address. The mail goes to the address as the user has it: another spelling may be somebody else's."""
    found = AccountRepository(session).by_login(email)
    return session.get_one(User, found.id_key) if found is not None and found.is_active else None


def _verify(token: str, session: Session) -> None:
    user, purpose, email = used_token(session, token, TokenPurpose.VERIFY_EMAIL, TokenPurpose.CHANGE_EMAIL)
    if purpose is TokenPurpose.CHANGE_EMAIL:
        old, user.email, user.email_key = user.email, email, email_key(email)
        user.email_verified_at = None
        with violations_of({"email": email}):
            session.flush()
        move_client(session, user, old)
        send_later(session, "email_changed", old, {"username": user.username})
    _is_verified(session, user)
    drop_tokens(session, user, TokenPurpose.VERIFY_EMAIL)


def _is_verified(session: Session, user: User) -> None:
    if user.email_verified_at is None:
        user.email_verified_at = func.now()
    session.flush()
    link_client(session, user)
    user_has_changed(session, user.id_key)
