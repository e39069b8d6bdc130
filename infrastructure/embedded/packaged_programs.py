"""The programs in the wheels, where every user may run them: a copy, if they are in a folder closed to other users.

A server that root starts as another user has to read its program and the files beside it, and `/root` is closed.
"""

import hashlib
import importlib.util
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from stat import S_IMODE, S_ISDIR, S_IXOTH

from infrastructure.embedded.errors import EmbeddedServerError
from infrastructure.embedded.privileges import Account

# The first of them that can be written gets the copy. Only root makes copies.
_PLACES = ("/var/lib", "/usr/local/lib", "/tmp")  # noqa: S108 (the owner of what is found there is looked at)
_EVERYBODY_ENTERS, _EVERYBODY_READS = 0o755, 0o644
_NOT_NEEDED = shutil.ignore_patterns("include", "doc", "man", "__pycache__")


def packaged_program(package: str, pattern: str, remedy: str, account: Account | None = None) -> Path:
    """The program in the wheel `package`, for `account` to run; found without importing the package.

    Raises `EmbeddedServerError`, ending in `remedy`, when the wheel is not installed or cannot be used.
    """
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for program in Path(folder).glob(pattern):
            return program if account is None else _open_program(program, Path(folder), remedy)
    raise EmbeddedServerError(
        f"The package {package.replace('_', '-')} is not installed (it may not exist for this platform): {remedy}"
    )


def _open_program(program: Path, folder: Path, remedy: str) -> Path:
    """`program`, a file in `folder`, or the same in a copy of the folder that every user may read."""
    if _is_open(program):
        return program
    found = program.stat()
    mark = hashlib.sha256(f"{folder} {found.st_mtime_ns} {found.st_size}".encode()).hexdigest()[:16]
    for place in map(Path, _PLACES):
        copy = place / f"shop-programs-{mark}"
        with suppress(OSError):
            if not _is_ours(copy):
                _copy(folder, copy)
            return copy / folder.name / program.relative_to(folder)
    raise EmbeddedServerError(
        f"{folder} is closed to other users, and neither {', '.join(_PLACES[:-1])} nor {_PLACES[-1]} takes a copy: {remedy}"
    )


def _is_open(program: Path) -> bool:
    """Whether every user may run it. The files beside it were installed with the same rights."""
    real = program.resolve()
    return all(path.stat().st_mode & S_IXOTH for path in (real, *real.parents))


def _is_ours(copy: Path) -> bool:
    """Whether the copy exists, complete, and only root can have made or changed it."""
    try:
        found = copy.lstat()
    except FileNotFoundError:
        return False
    if not S_ISDIR(found.st_mode) or found.st_uid != 0 or S_IMODE(found.st_mode) != _EVERYBODY_ENTERS:
        raise PermissionError(f"{copy} is somebody else's")
    return True


def _copy(folder: Path, copy: Path) -> None:
    unfinished = Path(tempfile.mkdtemp(prefix=".shop-programs-", dir=copy.parent))
    try:
        content = unfinished / "content"
        # A wheel may have the libraries of its programs in a folder beside the package.
        for part in (folder, *folder.parent.glob(f"{folder.name}.libs")):
            shutil.copytree(part, content / part.name, ignore=_NOT_NEEDED)
        for parent, _, files in os.walk(content):
            os.chmod(parent, _EVERYBODY_ENTERS)
            for name in files:
                path = Path(parent, name)
                path.chmod(_EVERYBODY_ENTERS if path.stat().st_mode & 0o100 else _EVERYBODY_READS)
        content.rename(copy)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
