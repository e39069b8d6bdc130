"""Queries on the mails that are to be sent. Whoever sends one takes it for a while, so that nobody else sends it too."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.orm import Session

from models import AccountToken, Client, OutgoingMail, User
from models.text_key import email_key

# The channel on which the workers are told, by the commit, that there is a mail.
MAILS = "shop_mails"

ANY_DUE: LiteralString = "SELECT FROM outgoing_mails WHERE next_attempt_at <= now() LIMIT 1"

_NOTIFY = select(func.pg_notify(MAILS, ""))
# The first pause after a failure, and the longest; each is twice as long as the one before.
_FIRST_PAUSE, _LONGEST_PAUSE = 2, 3600
_MOST_DOUBLINGS = 16
_LIFETIME = text("interval '1 day'")


@dataclass(frozen=True, slots=True)
class DueMail:
    """A mail that was taken. `token` is the row of its token; `is_old` if this is its last attempt.

    `is_void` if its token has expired, so that nobody could use it. `language` is that of the client who the user is.
    """

    id_key: int
    template: str
    recipient: str
    fields: Mapping[str, str]
    created_at: datetime
    is_old: bool
    token: Any | None
    is_void: bool
    language: str | None


class OutgoingMailRepository:
    """The mails that are to be sent, on the connection of a session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, template: str, recipient: str, fields: Mapping[str, str], token_id: int | None) -> None:
        """Have a mail sent once the transaction is committed."""
        row = {"template": template, "recipient": recipient, "fields": dict(fields), "token_id": token_id}
        self._session.execute(insert(OutgoingMail), row)
        self._session.execute(_NOTIFY)

    def take(self, seconds: float) -> DueMail | None:
        """A mail that is due, and that nobody else takes within so many seconds; None if there is none."""
        due = (
            select(OutgoingMail.id_key)
            .where(OutgoingMail.next_attempt_at <= func.now())
            .order_by(OutgoingMail.next_attempt_at, OutgoingMail.id_key)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        taken = (
            update(OutgoingMail)
            .where(OutgoingMail.id_key == due.scalar_subquery())
            .values(
                attempts=OutgoingMail.attempts + 1,
                next_attempt_at=func.clock_timestamp() + func.make_interval(0, 0, 0, 0, 0, 0, seconds),
            )
            .returning(
                OutgoingMail.id_key,
                OutgoingMail.template,
                OutgoingMail.recipient,
                OutgoingMail.fields,
                OutgoingMail.created_at,
                (OutgoingMail.created_at < func.now() - _LIFETIME).label("is_old"),
                OutgoingMail.token_id,
            )
            .execution_options(synchronize_session=False)
        )
        row = self._session.execute(taken).first()
        if row is None:
            return None
        token = None if row.token_id is None else self._token(row.token_id)
        is_void = row.token_id is not None and (token is None or token.is_expired)
        language = self._language(row.recipient, None if token is None else token.user_id)
        return DueMail(*row[:6], token=token, is_void=is_void, language=language)

    def _language(self, recipient: str, user_id: int | None) -> str | None:
        """The language of the user of the token, or else of the one with the address."""
        is_user = User.email_key == email_key(recipient) if user_id is None else User.id_key == user_id
        return self._session.scalars(
            select(Client.language).join(User, User.client_id == Client.id_key).where(is_user)
        ).first()

    def _token(self, token_id: int) -> Any | None:
        return self._session.execute(
            select(
                AccountToken.id_key,
                AccountToken.user_id,
                AccountToken.purpose,
                AccountToken.secret_hash,
                AccountToken.expires_at,
                (AccountToken.expires_at <= func.now()).label("is_expired"),
            ).where(AccountToken.id_key == token_id)
        ).first()

    def postpone(self, mail_id: int) -> None:
        """Have the mail sent later, after a pause that grows with every attempt."""
        doublings = func.least(OutgoingMail.attempts - 1, _MOST_DOUBLINGS)
        pause = func.least(_FIRST_PAUSE * func.power(2, doublings), _LONGEST_PAUSE)
        self._session.execute(
            update(OutgoingMail)
            .where(OutgoingMail.id_key == mail_id)
            .values(next_attempt_at=func.clock_timestamp() + func.make_interval(0, 0, 0, 0, 0, 0, pause))
            .execution_options(synchronize_session=False)
        )

    def remove(self, mail_id: int) -> None:
        """Forget a mail, which was sent or is not to be sent any more."""
        self._session.execute(delete(OutgoingMail).where(OutgoingMail.id_key == mail_id))
