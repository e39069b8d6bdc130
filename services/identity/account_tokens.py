"""Account tokens: each proves once, and for half an hour, that somebody reads the mails to an address."""

import secrets

from sqlalchemy import func, text
from sqlalchemy.orm import Session

from models import AccountToken, User
from models.account_token import TokenPurpose
from models.text_key import email_key
from repositories.account import AccountRepository, AccountTokenRepository, delete_expired
from security.account_token import account_token, token_hash
from security.secret_keys import KeyRing
from services.idempotency import PURGE_BATCH
from services.identity.errors import AccountTokenInvalid
from services.identity.outgoing_mail import send_later

TOKEN_MINUTES = 30


def send_token(session: Session, keys: KeyRing, user: User, purpose: TokenPurpose, email: str) -> None:
    """Have a mail with a new token sent to the address."""
    # The token follows from the key of its row, which the row has to be given first.
    row = AccountToken(user_id=user.id_key, purpose=purpose.value, email=email, secret_hash=secrets.token_bytes())
    row.expires_at = func.now() + text(f"interval '{TOKEN_MINUTES} minutes'")
    session.add(row)
    session.flush()
    row.secret_hash = token_hash(account_token(keys, purpose.value, row.id_key))
    session.flush()
    send_later(session, purpose.value, email, {"username": user.username}, row.id_key)


def names_by_token(session: Session, secret: str, purpose: TokenPurpose) -> list[str | None]:
    """What the user of the token is called, for the rules of passwords. Raises `AccountTokenInvalid`."""
    found = AccountTokenRepository(session).find(token_hash(secret), [purpose.value])
    user = None if found is None else session.get(User, found.user_id)
    if user is None:
        raise AccountTokenInvalid
    return [user.username, user.full_name, user.email]


def used_token(session: Session, secret: str, *purposes: TokenPurpose) -> tuple[User, TokenPurpose, str]:
    """The user of the token, locked, its purpose and its address; from now on it is used up.

    Raises `AccountTokenInvalid`, also where the user has another address by now, except for a token that changes it.
    """
    tokens = AccountTokenRepository(session)
    found = tokens.find(token_hash(secret), [purpose.value for purpose in purposes])
    # The user first, in the order in which a deletion of the user locks them.
    user = None if found is None else AccountRepository(session).lock(found.user_id)
    if found is None or user is None or not user.is_active or not tokens.use_up(found.id_key):
        raise AccountTokenInvalid
    purpose = TokenPurpose(found.purpose)
    if purpose is not TokenPurpose.CHANGE_EMAIL and email_key(found.email) != user.email_key:
        raise AccountTokenInvalid
    return user, purpose, found.email


def drop_tokens(session: Session, user: User, *purposes: TokenPurpose) -> None:
    """Use up all tokens of the user for these purposes."""
    for purpose in purposes:
        AccountTokenRepository(session).drop(user.id_key, purpose.value)


def purge_tokens(session: Session) -> int:
    """Delete tokens that have expired, at most `PURGE_BATCH`; how many there were."""
    return delete_expired(session, AccountToken, PURGE_BATCH)
