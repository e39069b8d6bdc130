"""Registrations: a new user of the role customer, and the client that the customer is.

REGISTRATION says whether anybody may register (open), whether nobody may find out which addresses have an account
(verify), or whether nobody may register (closed).
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from sqlalchemy.orm import Session

from models import User
from models.account_token import TokenPurpose
from models.text_key import email_key
from repositories.account import AccountRepository
from repositories.event_writing import Happening, tell
from repositories.user import UserRepository
from security.password_rules import weakness
from services.declared_errors import refuses
from services.errors import AlreadyExists, InvalidField
from services.identity.account_tokens import send_token
from services.identity.client_link import new_client
from services.identity.context import AccountContext, Visitor
from services.identity.errors import Forbidden
from services.identity.even_time import in_even_time
from services.identity.outgoing_mail import send_later
from services.integrity import violations_of

_OF_CLIENT = ("name", "lastname", "email", "telephone", "language")


class RegistrationService:
    """Takes registrations."""

    def __init__(self, context: AccountContext) -> None:
        self._context = context
        self._mode = context.settings.registration

    @refuses(Forbidden, AlreadyExists)
    async def register(self, values: Mapping[str, Any], visitor: Visitor) -> tuple[User, Any | None] | None:
        """The new user, and the client that they are already; None where the mail alone tells how it went.

        Raises `Forbidden` where nobody may register, `InvalidField` for a weak password, `AlreadyExists`.
        """
        if self._mode == "closed":
            raise Forbidden(text="Nobody can register here: the shop makes the accounts")
        await self._context.limits.register(visitor.address)
        names = [values.get(name) for name in ("username", "email", "full_name", "name", "lastname")]
        require_strong(values["password"], [*names, f"{values['name']} {values['lastname']}"])
        stored = await self._context.passwords.hashed(values["password"])
        if self._mode == "open":
            return await self._context.executor.transact(partial(self._register, values, stored))
        await in_even_time(self._context.executor.transact(partial(self._register_unseen, values, stored)))
        return None

    def _register_unseen(self, values: Mapping[str, Any], stored: str, session: Session) -> None:
        """As `register`, but a mail says what is taken, which is for the owner of the address only."""
        try:
            with session.begin_nested():
                self._register(values, stored, session)
        except AlreadyExists as error:
            owner = AccountRepository(session).by_login(values["email"])
            is_free = owner is None and error.field == "username"
            # To the address as its owner has it: another spelling may be somebody else's.
            recipient = values["email"] if owner is None else owner.email
            send_later(
                session, "username_taken" if is_free else "address_taken", recipient, {"username": values["username"]}
            )

    def _register(self, values: Mapping[str, Any], stored: str, session: Session) -> tuple[User, Any | None]:
        accounts, email = AccountRepository(session), values["email"]
        user = User(
            username=values["username"],
            email=email,
            email_key=email_key(email),
            full_name=values.get("full_name") or f"{values['name']} {values['lastname']}"[:200],
            password_hash=stored,
        )
        session.add(user)
        with violations_of(values):
            session.flush()
        client = new_client(session, {name: values[name] for name in _OF_CLIENT if name in values})
        if client is not None:
            user.client_id = client.id_key
        elif (known := accounts.client_at(email)) is not None and accounts.holder_of(known) is not None:
            # Somebody else's client. Any other client with the address is linked once that is verified.
            raise AlreadyExists("User", "email", email)
        send_token(session, self._context.key_ring(), user, TokenPurpose.VERIFY_EMAIL, email)
        tell(session, UserRepository.told, [Happening("user.registered", user.id_key)])
        return user, client


def require_strong(password: str, names: list[str | None]) -> None:
    """Raise `InvalidField` for a password that is easy to guess, or is one of the names."""
    if (why := weakness(password, names)) is not None:
        raise InvalidField(("body", "password"), why)
