"""The folders of the embedded servers: only the user who runs the server, and root, may enter them."""

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
# The current folder of a process, by a path that does not name the folders above it.
_HERE = Path("/proc/self/cwd")


def socket_folder(folder: Path) -> Path:
    """The folder for the Unix socket of the server of `folder`: that one, or one below /tmp where its path is too long.

    It depends on `folder` alone, so that every process finds the same socket.
    """
    if len(os.fsencode(folder)) <= _SOCKET_FOLDER_BYTES and re.fullmatch(r"[\w./ @+-]+", str(folder), re.ASCII):
        return folder
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    return _SOCKET_PLACE / f"{_SOCKET_NAME}{digest}"


def make_private_folder(folder: Path, account: Account | None) -> None:
    """Create `folder` for `account` alone; raises `EmbeddedServerError` if it belongs to another user."""
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
    """Remove a socket folder below /tmp that an earlier release made for root: owned by `nobody`."""
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
    """Make `account` the owner of `folder` and everything in it."""
    if account is None:
        return
    for path in _paths_in(folder):
        found = os.lstat(path)
        if found.st_uid == account.uid:
            continue
        if S_ISREG(found.st_mode) and found.st_nlink > 1:
            # Its other name may be a file of root, linked here by the former owner of the folder.
            raise EmbeddedServerError(f"{path} has another name elsewhere and is not given away: look what it is")
        try:
            os.chown(path, account.uid, account.gid, follow_symlinks=False)
        except PermissionError:
            raise EmbeddedServerError(
                f"PostgreSQL does not run as root, and root may not give {folder} to user {account.uid} here: "
                "start the shop as an ordinary user, or set DATABASE_URL or POSTGRES_HOST"
            ) from None


def as_seen_inside(folder: Path, path: Path, account: Account | None) -> Path:
    """The path of `path` for a process of `account` started in `folder`: the folders above may be closed to it."""
    if account is None or not _HERE.exists() or not path.is_relative_to(folder):
        return path
    return _HERE / path.relative_to(folder)


def _paths_in(folder: Path) -> Iterator[str]:
    """`folder` and everything in it, as texts: a cluster has a thousand files, and `Path` takes ten times as long."""
    yield str(folder)
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            yield os.path.join(parent, name)
