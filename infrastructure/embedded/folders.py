"""The folders of the embedded servers: closed to everybody but the user who runs the server, and root."""

import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from stat import S_IMODE, S_ISDIR, S_ISREG

from infrastructure.embedded.errors import EmbeddedServerError
from infrastructure.embedded.privileges import Account, nobody

# A Unix socket's path may have 107 bytes on Linux and 103 on macOS; its name in the folder takes up to 19.
_SOCKET_FOLDER_BYTES = 84
_SOCKET_PLACE = Path("/tmp")  # noqa: S108 (the owner of a folder is checked before it is used)
_SOCKET_NAME = "shop-"
# Where a process is, whatever is above that.
_HERE = Path("/proc/self/cwd")


def socket_folder(folder: Path) -> Path:
    """Where the server of `folder` puts its Unix socket: there, or below /tmp when that path cannot name a socket.

    The answer depends on `folder` alone, so that every process finds the same socket.
    """
    if len(os.fsencode(folder)) <= _SOCKET_FOLDER_BYTES and re.fullmatch(r"[\w./ @+-]+", str(folder), re.ASCII):
        return folder
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    return _SOCKET_PLACE / f"{_SOCKET_NAME}{digest}"


def make_private_folder(folder: Path, account: Account | None) -> None:
    """Create `folder`, closed to everybody but `account`; raises `EmbeddedServerError` if it is somebody else's."""
    _remove_if_shared(folder, account)
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    ours = {os.geteuid(), *((account.uid,) if account else ())}
    if not S_ISDIR(found.st_mode) or found.st_uid not in ours:
        raise EmbeddedServerError(f"The folder {folder} belongs to another user: remove it, or set another DATA_DIR")
    if S_IMODE(found.st_mode) != 0o700:
        folder.chmod(0o700)
    if account is not None and found.st_uid != account.uid:
        give_to(account, folder)


def _remove_if_shared(folder: Path, account: Account | None) -> None:
    """Remove a folder of sockets outside of DATA_DIR as earlier versions made it for root: owned by `nobody`."""
    if (
        account is not None
        and account != nobody()
        and folder.parent == _SOCKET_PLACE
        and folder.name.startswith(_SOCKET_NAME)
    ):
        with suppress(FileNotFoundError):
            if folder.lstat().st_uid == nobody().uid:
                shutil.rmtree(folder)


def give_to(account: Account | None, folder: Path) -> None:
    """Make `folder` and what is in it the account's own, whoever had it before."""
    if account is None:
        return
    for path in _paths_in(folder):
        found = os.lstat(path)
        if found.st_uid == account.uid:
            continue
        if S_ISREG(found.st_mode) and found.st_nlink > 1:
            # Its other name may be a file of root's, put here by whoever had the folder.
            raise EmbeddedServerError(f"{path} has another name elsewhere and is not given away: look what it is")
        try:
            os.chown(path, account.uid, account.gid, follow_symlinks=False)
        except PermissionError:
            raise EmbeddedServerError(
                f"PostgreSQL does not run as root, and root may not give {folder} to user {account.uid} here: "
                "start the shop as an ordinary user, or set DATABASE_URL or POSTGRES_HOST"
            ) from None


def as_seen_inside(folder: Path, path: Path, account: Account | None) -> Path:
    """How `account`, who has been put into `folder`, calls `path`: those above the folder may be closed to it."""
    if account is None or not _HERE.exists() or not path.is_relative_to(folder):
        return path
    return _HERE / path.relative_to(folder)


def _paths_in(folder: Path) -> Iterator[str]:
    """`folder` and everything in it. As texts: a cluster has a thousand files, and paths would take ten times as long."""
    yield str(folder)
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            yield os.path.join(parent, name)
