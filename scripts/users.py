"""Users at the console: `python -m scripts.users create-admin --email ada@example.com`, for who has the database anyway.

Makes the first administrator, and helps where nobody can log in. A password is asked for, or is the first line of standard
input; it is no argument, because others on the machine see these. Users are named by user name or e-mail address. A
running shop follows at once, and the audit trail has what was done, by `system`.

The database is the one that the settings name, else the embedded one, which may be running or not. The exit code is 0
when it was done, 1 when it was refused, 2 when it could not be tried.
"""

import argparse
import getpass
import re
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError
from sqlalchemy.orm import Session

from infrastructure.embedded.servers import ServerUrls
from models import User
from repositories.author import Author, set_author
from schemas.user import UserCreate
from scripts.cache_invalidation import invalidate_cache
from scripts.database import EXIT_FINE, EXPECTED_ERRORS, report_error, shop_database
from security.password_rules import weakness
from security.passwords import Passwords
from security.scopes import Role
from services.base import invalidation_of
from services.errors import ShopError
from services.identity.audit import SYSTEM
from services.user import UserService

EXIT_REFUSED = 1

_NO_NAME = re.compile(r"[^A-Za-z0-9._-]+")
_STALE = "for some seconds what has changed"

Options = argparse.Namespace


class Refused(Exception):
    """The message says why in one line."""


def create_admin(service: UserService, options: Options) -> str:
    """Make an administrator."""
    username = options.username or _name_from(options.email)
    body = {"username": username, "email": options.email, "password": _password()}
    try:
        values = UserCreate.model_validate(body).sent()
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        raise Refused("; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in problems)) from None
    password_hash = _hashed(values.pop("password"), [values["username"], values["email"]])
    now = datetime.now(UTC)
    row = service.create({**values, "role": Role.ADMIN.value, "password_hash": password_hash, "email_verified_at": now})
    return f"{row.username} is an administrator now."


def list_users(service: UserService, options: Options) -> str:
    """List the users."""
    lines = [("ID", "USER NAME", "E-MAIL", "ROLE", "ACTIVE", "LAST LOGIN")]
    for user in service.users.all():
        login = "never" if user.last_login_at is None else f"{user.last_login_at:%Y-%m-%d %H:%M}"
        is_active = "yes" if user.is_active else "no"
        lines.append((str(user.id_key), user.username, user.email, user.role, is_active, login))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def set_role(service: UserService, options: Options) -> str:
    """Give a user another role."""
    user = service.update_locked(_user(service, options), {"role": options.role})
    return f"{user.username} is {user.role} now."


def disable(service: UserService, options: Options) -> str:
    """End the sessions of a user, and let them in no more."""
    user = service.update_locked(_user(service, options), {"is_active": False})
    return f"{user.username} is disabled."


def reset_password(service: UserService, options: Options) -> str:
    """Give a user another password, and end their sessions."""
    user = _user(service, options)
    password_hash = _hashed(_password(), [user.username, user.full_name, user.email])
    service.update_locked(user, {"password_hash": password_hash})
    return f"{user.username} has another password; all their sessions have ended."


def revoke_sessions(service: UserService, options: Options) -> str:
    """End the sessions of a user."""
    user = _user(service, options)
    ended = service.end_sessions(user)
    return f"{ended} session{'' if ended == 1 else 's'} of {user.username} ended."


_COMMANDS: dict[str, Callable[[UserService, Options], str]] = {
    "create-admin": create_admin,
    "list": list_users,
    "set-role": set_role,
    "disable": disable,
    "reset-password": reset_password,
    "revoke-sessions": revoke_sessions,
}


def run(session: Session, urls: ServerUrls, options: Options) -> int:
    """Do what the command says, and tell a running shop; the exit code."""
    set_author(session, Author(SYSTEM, options.command.replace("-", "_")))
    try:
        message = _COMMANDS[options.command](UserService(session), options)
    except (ShopError, Refused) as error:
        print(f"Refused: {error}", file=sys.stderr)
        return EXIT_REFUSED
    session.commit()
    invalidate_cache(urls.redis_url, invalidation_of(session), _STALE)
    print(message)
    return EXIT_FINE


def _user(service: UserService, options: Options) -> User:
    user = service.users.named(options.user)
    if user is None:
        raise Refused(f"There is no user {options.user!r}")
    return user


def _name_from(email: str) -> str:
    """A user name for the owner of this address: its part before the @, as far as user names allow."""
    name = _NO_NAME.sub("-", email.partition("@")[0]).strip("-")[:50]
    return name if len(name) >= 3 else "admin"


def _password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass("Password: ")
    if getpass.getpass("The same again: ") != password:
        raise Refused("These were two different passwords")
    return password


def _hashed(password: str, names: Sequence[str | None]) -> str:
    reason = weakness(password, names)
    if reason is not None:
        raise Refused(f"The password {reason}")
    return Passwords().hashed(password)


def _parser() -> argparse.ArgumentParser:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(
        prog="python -m scripts.users", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands: Any = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in _COMMANDS.items():
        one = commands.add_parser(name, help=command.__doc__)
        if name == "create-admin":
            one.add_argument("--email", required=True)
            one.add_argument("--username", help="by default made from the address")
        elif name != "list":
            one.add_argument("user", help="user name or e-mail address")
        if name == "set-role":
            one.add_argument("role", choices=[role.value for role in Role])
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the exit code."""
    options = _parser().parse_args(arguments)
    try:
        with shop_database(sys.stderr) as (engine, urls), Session(engine) as session:
            return run(session, urls, options)
    except EXPECTED_ERRORS as error:
        return report_error(error)


if __name__ == "__main__":
    sys.exit(main())
