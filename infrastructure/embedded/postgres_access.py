"""Who may connect to the embedded PostgreSQL (pg_hba.conf): only the user who starts it, by peer authentication."""

import os
import pwd
from contextlib import suppress
from pathlib import Path

from infrastructure.embedded.errors import EmbeddedServerError
from infrastructure.embedded.privileges import Account

_MAP = "shop"


def own_name(remedy: str) -> str:
    """The name of the current user. Raises `EmbeddedServerError`, ending in `remedy`, for a user without a name."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        raise EmbeddedServerError(
            f"User {os.geteuid()} has no name on this machine, by which PostgreSQL knows its users: {remedy}"
        ) from None


def admit_only(name: str, folder: Path, account: Account | None) -> None:
    """Have the server with its data in `folder`, run by `account`, admit the user `name` alone, as any role.

    The user who may start the server may do everything anyway. Replaces the files of earlier releases.
    """
    quoted = name.replace('"', '""')
    # Of the databases "all" are those that can be named; base backups ask for "replication".
    lines = "".join(f"local {database} all peer map={_MAP}\n" for database in ("all", "replication"))
    _write(folder / "pg_hba.conf", lines, account)
    _write(folder / "pg_ident.conf", f'{_MAP} "{quoted}" all\n', account)


def _write(path: Path, text: str, account: Account | None) -> None:
    # A new file replaces the old one: root writes into the folder of another user here, who could have put a link there.
    new = path.with_name(f"{path.name}.new")
    with suppress(FileNotFoundError):
        new.unlink()
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        if account is not None:
            os.fchown(descriptor, account.uid, account.gid)
    new.replace(path)
