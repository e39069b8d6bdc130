"""The client that a customer is: a new one, or the one with their e-mail address once that is verified."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from sqlalchemy.orm import Session

from models import User
from repositories.account import AccountRepository
from security.scopes import Role
from services.client import ClientService
from services.errors import AlreadyExists
from services.integrity import violations_of

_LONGEST_NAME = 100


def new_client(session: Session, values: Mapping[str, Any]) -> Any | None:
    """The new client with these values; None if there is a client with the address already."""
    try:
        with session.begin_nested():
            return ClientService(session).create(dict(values))
    except AlreadyExists:
        return None


def link_client(session: Session, user: User) -> None:
    """Make the locked user, whose address is verified, the client with that address; without one, a new client.

    Only for customers who are no client yet. A client who is another user stays that user's.
    """
    if user.role != Role.CUSTOMER or user.client_id is not None:
        return
    accounts = AccountRepository(session)
    client_id = accounts.client_at(user.email)
    if client_id is None:
        created = new_client(session, {**_names(user), "email": user.email})
        client_id = accounts.client_at(user.email) if created is None else created.id_key
    if client_id is None or accounts.holder_of(client_id) is not None:
        return
    user.client_id = client_id
    with violations_of({"client_id": client_id}):
        session.flush()


def move_client(session: Session, user: User, old: str) -> None:
    """Give the client that the locked user is the new address of the user, where they had the `old` one together.

    Else the old address stays taken for everybody. Where another client has the new one, both stay as they are.
    """
    accounts = AccountRepository(session)
    if user.client_id is None or accounts.client_at(old) != user.client_id:
        return
    with suppress(AlreadyExists), session.begin_nested():
        ClientService(session).update(user.client_id, {"email": user.email})


def _names(user: User) -> dict[str, str]:
    first, _, last = (user.full_name or user.username).strip().rpartition(" ")
    return {"name": (first or last)[:_LONGEST_NAME].strip(), "lastname": last[:_LONGEST_NAME].strip()}
