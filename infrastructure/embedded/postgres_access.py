"""Who may connect to the embedded PostgreSQL: the user who starts it, whom the kernel vouches for, and nobody else."""

import os
import pwd
from contextlib import suppress
from pathlib import Path

from infrastructure.embedded.errors import EmbeddedServerError
from infrastructure.embedded.privileges import Account

_MAP = "shop"


def own_name(remedy: str) -> str:
    """The name of the present user. Raises `EmbeddedServerError` for a user who has none, ending in `remedy`."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        raise EmbeddedServerError(
            f"User {os.geteuid()} has no name on this machine, by which PostgreSQL knows its users: {remedy}"
        ) from None


def admit_only(name: str, folder: Path, account: Account | None) -> None:
    """Have the server whose data is in `folder`, and which `account` runs, admit the user `name` alone.

    As any role: whoever may start the server may do everything anyway. Replaces what earlier versions have left there.
    """
    quoted = name.replace('"', '""')
    _write(folder / "pg_hba.conf", f"local all all peer map={_MAP}\n", account)
    _write(folder / "pg_ident.conf", f'{_MAP} "{quoted}" all\n', account)


def _write(path: Path, text: str, account: Account | None) -> None:
    # A new file in place of whatever is there: root writes into a folder here that is somebody else's.
    new = path.with_name(f"{path.name}.new")
    with suppress(FileNotFoundError):
        new.unlink()
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        if account is not None:
            os.fchown(descriptor, account.uid, account.gid)
    new.replace(path)
